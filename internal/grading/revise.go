package grading

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Revise folds one cause into an incident and decides everything that follows: the grade
// under each statute, the duties, which desk is told what, what is still owed, and when
// time alone will next change any of it. prev is nil for the first cause; aside are
// causes before this one that could not be folded.
//
// It grades at the cause's own time (a report's receipt), but never before that of prev:
// a cause folded late must not turn time back. A moment that changes nothing makes no
// revision: the result is nil.
func (rb Rulebook) Revise(prev *event.Graded, c Cause, aside []uint64) (*event.Graded, error) {
	if prev == nil {
		if c.Report == nil {
			return nil, fmt.Errorf("no report of %s/%s has been graded yet", c.Operator, c.Incident)
		}
		prev = &event.Graded{Operator: c.Operator, Incident: c.Incident}
	}
	state, changed, err := rb.fold(prev, c)
	if err != nil {
		return nil, err
	}
	v, err := rb.viewAfter(prev, c, state)
	if err != nil {
		return nil, err
	}
	at := c.At
	if prev.At.After(at) {
		at = prev.At
	}
	g := &event.Graded{
		Operator: c.Operator, Incident: c.Incident, Revision: prev.Revision + 1,
		Through: max(prev.Through, c.Record), Aside: aside, Cause: c.record(changed),
		At: at, About: v.report.About, State: state,
		Assessment: rb.Statutes.Assess(v.Case, at),
		Facilities: facilities(v.Facilities),
		Law:        rb.Statutes.Law(v.Case, at),
		Rules:      rb.rules(v.Case, at),
	}
	g.Peak = max(prev.Peak, g.Grade)
	if c.Report != nil && !c.Report.OwnTime().After(latest(prev.State)) {
		g.Cause.Outdated = outdated(state, c.Record, c.Report)
	}
	if err := rb.decide(prev, g, c, v); err != nil {
		return nil, err
	}
	if isMoment := c.Report == nil && c.Act == nil; isMoment && !hasChanged(prev, g) {
		return nil, nil
	}
	g.Change = change(prev, g, c)
	g.Change.Reason += repealed(prev, g)
	if saysHandled(c, changed) && g.Withdrawal == nil && !v.report.Imported {
		g.Change.Reason += event.OngoingNote(event.OngoingFacts(v.report.Facts, at))
	}
	rb.tell(prev, g)
	return g, nil
}

// repealed says which statutes no longer apply to an incident that was graded under them:
// by a corrected discovery, or because an older program applied them.
func repealed(prev, g *event.Graded) (note string) {
	for _, i := range g.Law {
		if !i.Basis.Applies() && slices.ContainsFunc(prev.Statutes, func(s event.StatuteGrade) bool { return s.Statute == i.Statute }) {
			note += fmt.Sprintf("; %s does not apply: in force from %s", i.Statute, i.From)
		}
	}
	return note
}

// saysHandled reports whether the cause is a report that handling has ended.
func saysHandled(c Cause, changed []string) bool {
	return c.Report != nil && (c.Report.Type == event.TypeFinal || slices.Contains(changed, "handledAt"))
}

// latest returns the own time of the latest report folded. A later report is taken over
// in full.
func latest(s event.State) time.Time {
	return later(s.Reported, s.Withdrawn).At
}

// view is an incident as the law sees it: the merged report, and the case that results
// from it and the register.
type view struct {
	statute.Case
	op     *register.Operator
	report event.Report
}

func (rb Rulebook) view(operator string, state event.State) (view, error) {
	report, err := event.ParseReport(state.Data(func(string) bool { return true }))
	if err != nil {
		return view{}, err
	}
	return rb.viewOf(operator, state, report)
}

// viewAfter returns the view once a cause has been folded. For the first report of an
// incident it uses the report itself, which saves rebuilding it from the state.
func (rb Rulebook) viewAfter(prev *event.Graded, c Cause, state event.State) (view, error) {
	if c.Report != nil && len(prev.State.Fields) == 0 {
		if report, known := c.Report.Data(); known && !isAhead(report.Facts, c.Report.ReceivedAt) {
			report.ContainsNoStateSecrets, report.Reason, report.DuplicateOf = false, "", "" // notFacts
			return rb.viewOf(c.Operator, state, report)
		}
	}
	return rb.view(c.Operator, state)
}

// viewOf returns the view of a merged report.
func (rb Rulebook) viewOf(operator string, state event.State, report event.Report) (v view, err error) {
	v.report = report
	v.report.Imported = state.IsImported()
	var ok bool
	if v.op, ok = rb.Register.Operator(operator); !ok {
		return v, fmt.Errorf("operator %q is not in the register", operator)
	}
	if v.Case, err = v.op.Case(named(v.report), v.report); err != nil {
		return v, err
	}
	if d := state.Determined; d != nil {
		v.Determined = &statute.Determination{Grade: d.Grade, Over: d.Over}
	}
	return v, nil
}

// decide computes the duties, the forwards that await a person, what the operator owes,
// and when to look again. A withdrawn incident does not grow, and nothing is owed.
func (rb Rulebook) decide(prev, g *event.Graded, c Cause, v view) (err error) {
	if g.State.IsWithdrawn() {
		g.Next = nil
		g.Withdrawal = new(event.Withdrawal)
		if err := json.Unmarshal(g.State.Withdrawn.Value, g.Withdrawal, event.JSON); err != nil {
			return fmt.Errorf("the withdrawal: %w", err)
		}
		return nil
	}
	r := resolver{rb: rb, op: v.op, prev: prev, report: v.report, received: c.At}
	if prev.RegradeAt != nil && !prev.RegradeAt.After(g.At) {
		before, err := rb.view(g.Operator, prev.State)
		if err != nil {
			return err
		}
		r.crossed = r.crossings(before, v.Case, g.At)
	}
	if g.Duties, err = r.duties(rb.Statutes.Owed(v.Case, g.Assessment, g.At)); err != nil {
		return err
	}
	g.Possible = r.possible(rb.Statutes.Possible(v.Case, g.Assessment, g.At))
	r.setPending(g)
	g.Owed = r.owed(g, v.Case)
	if v.report.Imported {
		g.Next = nil // an import starts no clock
		return nil
	}
	if isGrowing(v.report.Facts, g.At) {
		g.RegradeAt = rb.Statutes.NextRise(v.Case, g.At)
	}
	for _, h := range g.PendingForwards {
		if until := h.Until; g.RegradeAt == nil || until.Before(*g.RegradeAt) {
			g.RegradeAt = &until
		}
	}
	return nil
}

// isGrowing reports whether any fact is still lasting, so that time alone matters.
func isGrowing(f event.Facts, at time.Time) bool {
	return lasts(f, func(t event.Times) bool { _, _, growing := t.Elapsed(at); return growing })
}

// isAhead reports whether any fact is dated to begin after at; fold moves those.
func isAhead(f event.Facts, at time.Time) bool {
	return lasts(f, func(t event.Times) bool { return t.Since != nil && t.Since.After(at) })
}

// lasts reports whether the times of any fact satisfy so.
func lasts(f event.Facts, so func(event.Times) bool) bool {
	return slices.ContainsFunc(f.Outage, func(o event.Outage) bool { return so(o.Times) }) ||
		f.SiteUnreachable != nil && so(f.SiteUnreachable.Times) ||
		f.Defacement != nil && so(f.Defacement.Times)
}

// hasChanged reports whether any decision differs from the previous revision. The next
// moment is included: if the packs have changed, a foreseen moment may bring nothing, and
// the one after it needs a timer.
func hasChanged(prev, g *event.Graded) bool {
	if g.Withdrawal != nil {
		return prev.Withdrawal == nil // a withdrawn incident does not grow
	}
	return !sameGrades(prev, g) || len(g.Duties) != len(prev.Duties) || len(g.PendingForwards) != len(prev.PendingForwards) || compareDue(g.RegradeAt, prev.RegradeAt) != 0
}

// sameGrades reports whether the grade under every statute is the same. The grade by
// facts alone may have grown below it.
func sameGrades(a, b *event.Graded) bool {
	return a.Grade == b.Grade && slices.EqualFunc(a.Statutes, b.Statutes, func(a, b event.StatuteGrade) bool {
		return a.Statute == b.Statute && a.Grade == b.Grade
	})
}

// named lists the facilities that a report names, including those of its outages: a
// facility reported down need not be listed twice.
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

// rules returns the hashes of what a case is decided by.
func (rb Rulebook) rules(c statute.Case, at time.Time) event.Rules {
	rules := event.Rules{Packs: map[string]string{}, Register: rb.Register.SHA256}
	counted := false
	for _, p := range rb.Statutes.Applying(c, at) {
		rules.Packs[p.ID] = p.SHA256
		counted = counted || p.Calendar != ""
	}
	if counted {
		rules.Calendars = map[string]string{}
		for _, c := range rb.Statutes.Calendars() {
			rules.Calendars[c.ID] = c.SHA256
		}
	}
	return rules
}

// change describes how the grade moved and which criteria moved it.
func change(prev, g *event.Graded, cause Cause) event.Change {
	c := event.Change{From: prev.Grade, To: g.Grade, Kind: event.ChangeUnchanged}
	before, after := criteria(prev.Hits), criteria(g.Hits)
	c.Lost, c.Gained = minus(before, after), minus(after, before)
	c.Reason = reason(g, cause)
	switch {
	case g.Withdrawal != nil && prev.Withdrawal == nil:
		c.Kind, c.Reason = event.ChangeWithdrawn, g.Withdrawal.Reason
	case g.Withdrawal != nil: // whatever else is learned: unchanged
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

// reason describes in a few words what made the revision.
func reason(g *event.Graded, c Cause) string {
	kind := strings.Split(g.Cause.Type, ".")[2]
	switch kind {
	case event.KindElapsed:
		return "time has passed"
	case event.KindDetermined:
		out := "determined by " + c.Act.Desk + ": " + c.Act.Reason
		if d := g.State.Determined; d.Desk != c.Act.Desk {
			out += " (what " + d.Desk + " determined stands)"
		}
		return out
	case event.KindAsked, event.KindConfirmed, event.KindTransferred:
		return kind + " by " + g.Cause.Desk
	}
	out := kind + " " + g.Cause.Report
	if len(g.Cause.Changed) > 0 {
		out += ": " + strings.Join(g.Cause.Changed, ", ")
	}
	if len(g.Cause.Outdated) > 0 {
		out += "; dated before what is known, and so without effect: " + strings.Join(g.Cause.Outdated, ", ")
	}
	return out
}

func criteria(hits []event.Hit) []string {
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = h.Statute + "/" + h.Criterion
	}
	return out
}

func minus[T comparable](a, b []T) []T {
	var out []T
	for _, v := range a {
		if !slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	return out
}

// union returns a and what b has besides; neither has anything twice.
func union[T comparable](a, b []T) []T { return slices.Concat(a, minus(b, a)) }
