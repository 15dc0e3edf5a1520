package classifier

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Rulebook is what decides: the packs and the register, as loaded.
type Rulebook struct {
	Statutes *statute.Set
	Register *register.Register
}

// Revise folds one report into an incident and decides everything that follows:
// the grade under each statute, the duties, who is told what. It is pure. The
// moment that it grades is the report's receipt, but never before the moment of
// prev: what is folded late must not turn time back. prev is nil for the first
// report. aside are causes before this one that could not be folded.
func (rb Rulebook) Revise(prev *event.Graded, seq uint64, a *event.Accepted, aside []uint64) (*event.Graded, error) {
	if prev == nil {
		prev = &event.Graded{Operator: a.Operator, Incident: a.Incident}
	}
	state, changed, err := fold(prev.State, seq, a)
	if err != nil {
		return nil, err
	}
	data, err := state.Data(func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	report, err := event.ParseReport(data)
	if err != nil {
		return nil, err
	}
	report.Imported = state.IsImported()
	op, ok := rb.Register.Operator(a.Operator)
	if !ok {
		return nil, fmt.Errorf("operator %q is not in the register", a.Operator)
	}
	c, err := op.Case(named(report), report)
	if err != nil {
		return nil, err
	}
	received := a.ReceivedAt.UTC()
	at := received
	if prev.At.After(at) {
		at = prev.At
	}
	packs := rb.Statutes.InForce(at)
	g := &event.Graded{
		Operator: a.Operator, Incident: a.Incident, Revision: prev.Revision + 1,
		Through: max(prev.Through, seq), Aside: aside,
		Cause: event.Cause{Record: seq, Type: a.Type, Report: a.Report, At: received, Changed: changed},
		At:    at, About: report.About, State: state,
		Assessment: packs.Assess(c, at),
		Facilities: facilities(c.Facilities),
		Rules:      rulesOf(packs, rb.Register),
	}
	g.Peak = max(prev.Peak, g.Grade)
	if state.IsWithdrawn() {
		g.Withdrawal = new(event.Withdrawal)
		if err := json.Unmarshal(state.Withdrawn.Value, g.Withdrawal); err != nil {
			return nil, fmt.Errorf("the withdrawal: %w", err)
		}
		g.Next = nil // what is withdrawn does not grow
	} else {
		r := router{rb: rb, op: op, prev: prev, report: report, received: received}
		if g.Duties, err = r.duties(packs.Owed(c, g.Assessment, at)); err != nil {
			return nil, err
		}
	}
	g.Change = change(prev, g)
	rb.tell(prev, g)
	return g, nil
}

// named lists the facilities that a report names, those of its outages among
// them: whoever says that one is down need not say so twice.
func named(r event.Report) []string {
	ids := slices.Clone(r.Facilities)
	for _, o := range r.Facts.Outage {
		if o.Facility != "" && !slices.Contains(ids, o.Facility) {
			ids = append(ids, o.Facility)
		}
	}
	return ids
}

func facilities(in []statute.Facility) []event.Facility {
	out := make([]event.Facility, len(in))
	for i, f := range in {
		out[i] = event.Facility{ID: f.ID, Region: f.Region, Sector: f.Sector}
	}
	return out
}

func rulesOf(packs *statute.Set, r *register.Register) event.Rules {
	rules := event.Rules{Packs: map[string]string{}, Register: r.SHA256}
	for _, p := range packs.Packs() {
		rules.Packs[p.ID] = p.SHA256
	}
	return rules
}

// router turns what is owed into duties between names of the register.
type router struct {
	rb       Rulebook
	op       *register.Operator
	prev     *event.Graded
	report   event.Report
	received time.Time
}

// duties resolves the parties, counts the due times and joins what differs by
// the facility alone. What is owed already keeps its due time; a facility named
// later has its own. The duty due first stands first.
func (r router) duties(owed []statute.Owed) ([]event.Duty, error) {
	var out []event.Duty
	for _, o := range owed {
		f, _ := r.op.Facility(o.Facility.ID)
		from, err := r.rb.Register.Party(o.Rule.From, r.op, f)
		if err != nil {
			return nil, fmt.Errorf("duty %s/%s: %w", o.Statute.ID, o.Rule.ID, err)
		}
		to, err := r.rb.Register.Party(o.Rule.To, r.op, f)
		if err != nil {
			return nil, fmt.Errorf("duty %s/%s: %w", o.Statute.ID, o.Rule.ID, err)
		}
		same := func(d event.Duty) bool {
			return d.Statute == o.Statute.ID && d.Duty == o.Rule.ID && d.From == from && d.Desk == to
		}
		due, strict := r.due(o.Rule)
		if i := slices.IndexFunc(r.prev.Duties, func(d event.Duty) bool { return same(d) && slices.Contains(d.Facilities, f.ID) }); i >= 0 {
			due, strict = r.prev.Duties[i].DueAt, r.prev.Duties[i].StrictDueAt
		}
		if i := slices.IndexFunc(out, func(d event.Duty) bool {
			return same(d) && compareDue(d.DueAt, due) == 0 && compareDue(d.StrictDueAt, strict) == 0
		}); i >= 0 {
			out[i].Facilities = append(out[i].Facilities, f.ID)
			continue
		}
		d := event.Duty{
			Statute: o.Statute.ID, Duty: o.Rule.ID, From: from, Desk: to, Act: o.Rule.Act,
			Facilities: []string{f.ID}, DueAt: due, StrictDueAt: strict, Items: o.Rule.Items,
			Citation: o.Rule.Citation, Quote: o.Rule.Quote, Confidence: o.Rule.Confidence,
		}
		if desk, ok := r.rb.Register.Desk(from); ok {
			d.OnBehalf = &event.OnBehalf{ActedBy: "tocsin", Authority: desk.Authority}
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b event.Duty) int { return compareDue(a.DueAt, b.DueAt) })
	return out, nil
}

// due counts a duty's limit. The first report that tells of the discovery counts
// from it, which is the operator's claim and at most the receipt; a regrade that
// first makes a duty arise counts from what made it arise, with the strict
// reading, from discovery, beside it. "Promptly" has no limit, and an import
// starts no clock.
func (r router) due(rule *statute.DutyRule) (due, strict *time.Time) {
	if rule.Within == nil || r.report.Imported {
		return nil, nil
	}
	within := time.Duration(*rule.Within)
	after := func(t time.Time) *time.Time { t = t.Add(within).UTC(); return &t }
	switch rule.Clock {
	case statute.ClockDiscovered:
		if r.report.DiscoveredAt == nil {
			return after(r.received), nil
		}
		discovered := *r.report.DiscoveredAt
		if discovered.After(r.received) {
			discovered = r.received
		}
		if _, told := r.prev.State.Fields["discoveredAt"]; !told {
			return after(discovered), nil
		}
		return after(r.received), after(discovered)
	case statute.ClockHandled:
		if r.report.HandledAt == nil {
			return nil, nil
		}
		return after(*r.report.HandledAt), nil
	default: // reported to the one who passes it on, or graded: both are now
		return after(r.received), nil
	}
}

func compareDue(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

// change says how the grade moved and which criteria moved it.
func change(prev, g *event.Graded) event.Change {
	c := event.Change{From: prev.Grade, To: g.Grade, Kind: event.ChangeUnchanged}
	before, after := criteria(prev.Hits), criteria(g.Hits)
	c.Lost, c.Gained = minus(before, after), minus(after, before)
	c.Reason = fmt.Sprintf("%s %s", strings.Split(g.Cause.Type, ".")[2], g.Cause.Report)
	if len(g.Cause.Changed) > 0 {
		c.Reason += ": " + strings.Join(g.Cause.Changed, ", ")
	}
	switch {
	case g.Withdrawal != nil && prev.Withdrawal == nil:
		c.Kind, c.Reason = event.ChangeWithdrawn, g.Withdrawal.Reason
	case g.Withdrawal != nil: // whatever else is learned of it
	case g.Cause.Type == event.TypeWithdrawal:
		c.Reason = "the withdrawal is dated before the last report and has no effect"
	case prev.Withdrawal != nil:
		c.Kind = event.ChangeReinstated
	case prev.Revision == 0:
		c.Kind = event.ChangeFirst
	case g.Grade > prev.Grade:
		c.Kind = event.ChangeRaised
	case g.Grade < prev.Grade:
		c.Kind = event.ChangeLowered
	}
	return c
}

func criteria(hits []event.Hit) []string {
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = h.Statute + "/" + h.Criterion
	}
	return out
}

func minus(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
