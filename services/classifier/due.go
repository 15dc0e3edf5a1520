package classifier

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// router turns what is owed into duties between names of the register.
type router struct {
	rb       Rulebook
	op       *register.Operator
	prev     *event.Graded
	report   event.Report
	received time.Time
	// crossed are the duties that time alone brought about, each with the moment
	// at which a threshold was crossed.
	crossed map[string]time.Time
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
		due, strict := r.due(o)
		if i := slices.IndexFunc(r.prev.Duties, func(d event.Duty) bool { return same(d) && slices.Contains(d.Facilities, f.ID) }); i >= 0 {
			due, strict = r.standing(o.Rule, r.prev.Duties[i])
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

// due counts a duty's limit when it first arises. The first report that tells
// of the discovery counts from it, which is the operator's claim and at most
// the receipt; what makes a duty arise later counts from when a threshold was
// crossed or a fact became known, with the strict reading, from discovery,
// beside it. "Promptly" has no limit, and an import starts no clock.
func (r router) due(o statute.Owed) (due, strict *time.Time) {
	rule := o.Rule
	if rule.Within == nil || r.report.Imported {
		return nil, nil
	}
	base := r.received
	if at, ok := r.crossed[keyOf(o)]; ok && at.Before(base) {
		base = at
	}
	switch rule.Clock {
	case statute.ClockDiscovered:
		if r.report.DiscoveredAt == nil {
			return after(rule, base), nil
		}
		if _, told := r.prev.State.Fields["discoveredAt"]; !told {
			return after(rule, r.discovered()), nil
		}
		return after(rule, base), after(rule, r.discovered())
	case statute.ClockHandled:
		if r.report.HandledAt == nil {
			return nil, nil
		}
		return after(rule, *r.report.HandledAt), nil
	default: // reported to the one who passes it on, or graded: both are now
		return after(rule, base), nil
	}
}

// standing keeps the due times of a duty that was owed before. A corrected
// discovery can move them earlier, never later: no clock is turned back by the
// one it runs against.
func (r router) standing(rule *statute.DutyRule, before event.Duty) (due, strict *time.Time) {
	due, strict = before.DueAt, before.StrictDueAt
	if due == nil || rule.Within == nil || rule.Clock != statute.ClockDiscovered || r.report.DiscoveredAt == nil {
		return due, strict
	}
	corrected := after(rule, r.discovered())
	if strict != nil {
		return due, earlier(strict, corrected)
	}
	return earlier(due, corrected), nil
}

// discovered is the operator's claim; after the receipt it counts as the receipt.
func (r router) discovered() time.Time {
	if r.report.DiscoveredAt.After(r.received) {
		return r.received
	}
	return *r.report.DiscoveredAt
}

func after(rule *statute.DutyRule, t time.Time) *time.Time {
	t = rule.Within.After(t).UTC()
	return &t
}

func earlier(a, b *time.Time) *time.Time {
	if b.Before(*a) {
		return b
	}
	return a
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

func keyOf(o statute.Owed) string { return o.Statute.ID + "/" + o.Rule.ID + "/" + o.Facility.ID }

// crossed finds what time alone brought about after the revision before and
// until now, with the moment of each: a report that comes after a threshold was
// crossed, but before anybody has looked, must not move the clock. What the
// report in hand denies (c is the case with it) was not crossed.
func (rb Rulebook) crossed(prev *event.Graded, before, c statute.Case, until time.Time) map[string]time.Time {
	if prev.Look == nil || prev.Look.After(until) {
		return nil
	}
	out := map[string]time.Time{}
	for at := prev.Look; at != nil && !at.After(until); {
		packs := rb.Statutes.InForce(*at)
		was := packs.Assess(before, *at)
		holds := map[string]bool{}
		for _, o := range packs.Owed(c, packs.Assess(c, *at), *at) {
			holds[keyOf(o)] = true
		}
		for _, o := range packs.Owed(before, was, *at) {
			if _, known := out[keyOf(o)]; !known && holds[keyOf(o)] {
				out[keyOf(o)] = *at
			}
		}
		at = packs.NextRise(before, *at)
	}
	return out
}
