package grading

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// resolver resolves owed duties to parties named in the register.
type resolver struct {
	rb       Rulebook
	op       *register.Operator
	prev     *event.Graded
	report   event.Report
	received time.Time
	crossed  map[string]crossing
}

// duties resolves the parties, computes the due times and merges duties that differ only
// in the facility. A duty that was owed before keeps its due time; a facility named later
// has its own. The duty due first comes first.
func (r resolver) duties(owed []statute.Owed) ([]event.Duty, error) {
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
		var due, strict, told *time.Time
		var lateBy *event.Duration
		if i := slices.IndexFunc(r.prev.Duties, func(d event.Duty) bool { return same(d) && slices.Contains(d.Facilities, f.ID) }); i >= 0 {
			before := r.prev.Duties[i]
			due, strict = r.keptDue(o, before.DueAt, before.StrictDueAt)
			told, lateBy = before.ToldAt, lateness(before, due)
		} else if c, ok := r.crossed[keyOf(o)]; ok {
			due, strict = r.keptDue(o, c.due, c.strict)
		} else {
			due, strict = r.due(o)
		}
		if i := slices.IndexFunc(out, func(d event.Duty) bool {
			return same(d) && compareDue(d.DueAt, due) == 0 && compareDue(d.StrictDueAt, strict) == 0 && compareDue(d.ToldAt, told) == 0
		}); i >= 0 {
			out[i].Facilities = append(out[i].Facilities, f.ID)
			continue
		}
		d := event.Duty{
			Statute: o.Statute.ID, Duty: o.Rule.ID, From: from, Desk: to, Act: o.Rule.Act,
			Facilities: []string{f.ID}, DueAt: due, StrictDueAt: strict, ToldAt: told, LateBy: lateBy, Items: o.Rule.Items,
			CalendarEnds: o.Rule.Within.CalendarEnds(due, o.Statute.Place(o.Facility)),
			Citation:     o.Rule.Citation, Quote: o.Rule.Quote, Confidence: o.Confidence,
		}
		if desk, ok := r.rb.Register.Desk(from); ok {
			d.OnBehalf = &event.OnBehalf{ActedBy: "tocsin", Authority: desk.Authority}
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b event.Duty) int { return compareDue(a.DueAt, b.DueAt) })
	return out, nil
}

// due computes a duty's limit when it first arises. For the first report that states the
// discovery, the limit runs from it: it is the operator's claim, capped at the receipt. A
// duty that arises later counts from when a threshold was crossed or a fact became known,
// with the strict reading, from discovery, beside it. "Promptly" has no limit, and an
// import starts no clock.
func (r resolver) due(o statute.Owed) (due, strict *time.Time) {
	if o.Rule.Within == nil || r.report.Imported {
		return nil, nil
	}
	due = r.firstDue(o, false)
	_, told := r.prev.State.Fields["discoveredAt"]
	if told && r.report.DiscoveredAt != nil && uses(o.Rule.Terms, func(c statute.Clock) bool { return c == statute.ClockDiscovered }) {
		strict = r.firstDue(o, true)
	}
	return due, strict
}

// keptDue keeps the due times of a duty that was owed before. A corrected claim can move
// them earlier, never later, and cannot remove them: the party a clock runs against
// cannot turn it back. A clock that had not started, such as that of the end of handling,
// starts when that is reported.
func (r resolver) keptDue(o statute.Owed, due, strict *time.Time) (*time.Time, *time.Time) {
	terms := o.Rule.Terms
	if due == nil {
		if len(terms) > 0 && waits(terms[0].Clock) && !r.prev.State.IsImported() {
			return r.due(o)
		}
		return due, strict
	}
	if !uses(terms, func(c statute.Clock) bool { return claimOf(&r.report, c) != nil }) {
		return due, strict
	}
	corrected := r.firstDue(o, true)
	switch {
	case corrected == nil:
		return due, strict
	case strict != nil:
		return due, earlier(strict, corrected)
	}
	return earlier(due, corrected), nil
}

// lateness returns by how much a duty that was carried out turns out to have been late
// when a corrected claim moves its due time earlier; otherwise the lateness known before.
func lateness(before event.Duty, due *time.Time) *event.Duration {
	if compareDue(due, before.DueAt) == 0 || before.ToldAt == nil || !before.ToldAt.After(*due) {
		return before.LateBy
	}
	by := event.Duration(before.ToldAt.Sub(*due))
	return &by
}

// claimed returns a time that the operator claims, capped at the receipt.
func (r resolver) claimed(at *time.Time) time.Time {
	if at.After(r.received) {
		return r.received
	}
	return *at
}

// inForce returns t, or the moment at which the pack comes into force if that is later.
func inForce(p *statute.Pack, t time.Time) time.Time {
	if from := p.Effective.From; t.Before(from) {
		return from
	}
	return t
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

// crossing is a duty that time alone triggered, with its due times at that moment.
type crossing struct {
	at          time.Time
	due, strict *time.Time
}

// crossings finds what time alone triggered between the previous revision and now: duties
// by keyOf, follow-ups by "statute/rule". A report that arrives after a threshold was
// crossed, but before the moment was graded, must not move a clock: the duty is due as if
// it had been graded in time. A threshold that the report denies (now is the case
// including it) was not crossed, and what only its own facts trigger counts from its
// receipt.
func (r resolver) crossings(before view, now statute.Case, until time.Time) map[string]crossing {
	out, packs := map[string]crossing{}, r.rb.Statutes
	for at := r.prev.RegradeAt; at != nil && !at.After(until); {
		was, is := packs.Assess(before.Case, *at), packs.Assess(now, *at)
		passed := passed(packs.Assess(before.Case, at.Add(-1)).Hits, was.Hits, is.Hits)
		brought := func(statute string, grade event.Grade) bool {
			return slices.ContainsFunc(passed, func(h event.Hit) bool { return h.Statute == statute && h.Grade >= grade })
		}
		note := func(key string, c crossing) {
			if _, known := out[key]; !known {
				out[key] = c
			}
		}
		then := resolver{rb: r.rb, op: r.op, prev: r.prev, report: before.report, received: *at}
		for _, o := range packs.Owed(before.Case, was, *at) {
			if brought(o.Statute.ID, o.Rule.For.Grade) {
				due, strict := then.due(o)
				note(keyOf(o), crossing{*at, due, strict})
			}
		}
		for _, f := range packs.FollowUps(before.Case, was, *at) {
			if brought(f.Statute.ID, f.Rule.For.Grade) {
				note(f.Statute.ID+"/"+f.Rule.ID, crossing{at: *at})
			}
		}
		at = packs.NextRise(before.Case, *at)
	}
	return out
}

// passed returns the hits that were not met before a moment, were met at it, and that the
// case as now known confirms.
func passed(before, was, is []event.Hit) []event.Hit {
	among := func(list []event.Hit, h event.Hit) bool {
		return slices.ContainsFunc(list, func(o event.Hit) bool { return o.Statute == h.Statute && o.Criterion == h.Criterion })
	}
	return slices.DeleteFunc(slices.Clone(was), func(h event.Hit) bool { return among(before, h) || !among(is, h) })
}
