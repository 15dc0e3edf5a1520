package grading

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// claimOf returns when a clock started as the operator states it; nil where it does not.
func claimOf(r *event.Report, c statute.Clock) *time.Time {
	switch c {
	case statute.ClockDiscovered:
		return r.DiscoveredAt
	case statute.ClockHandled:
		return r.HandledAt
	case statute.ClockClassified:
		return r.ClassifiedAt
	case statute.ClockOralNotice:
		return r.OralNoticeAt
	case statute.ClockRansomPaid:
		if r.Ransom != nil {
			return r.Ransom.PaidAt
		}
	}
	return nil
}

// waits reports whether a clock may not have started when a duty arises.
func waits(c statute.Clock) bool {
	line, _ := c.Line()
	return line != "" || c == statute.ClockHandled || c == statute.ClockOralNotice || c == statute.ClockRansomPaid
}

// stated returns when the operator states that a clock started, capped at the receipt.
func (r resolver) stated(c statute.Clock) *time.Time {
	claim := claimOf(&r.report, c)
	if claim == nil {
		return nil
	}
	at := r.claimed(claim)
	return &at
}

// started returns when a clock started for a duty. A discovery that was stated before
// counts only in the strict reading.
func (r resolver) started(o statute.Owed, c statute.Clock, strict bool) *time.Time {
	at := &r.received
	stated := r.stated(c)
	line, latest := c.Line()
	_, told := r.prev.State.Fields["discoveredAt"]
	switch {
	case line != "":
		at = carriedOut(r.prev, o.Statute, line, latest)
	case c == statute.ClockDiscovered && told && !strict: // it arises later
	case stated != nil || waits(c):
		at = stated
	}
	if at == nil {
		return nil
	}
	from := inForce(o.Statute, *at)
	return &from
}

// firstDue returns when the first limit of a duty ends.
func (r resolver) firstDue(o statute.Owed, strict bool) *time.Time {
	start := func(c statute.Clock) *time.Time { return r.started(o, c, strict) }
	due := statute.FirstDue(o.Rule.Terms, start, r.stated, o.Statute.Place(o.Facility))
	if due == nil {
		return nil
	}
	return &due.At
}

// carriedOut returns when a stage or a duty of the operator was carried out, as far as a
// revision knows; nil if it was not.
func carriedOut(g *event.Graded, p *statute.Pack, line string, latest bool) *time.Time {
	if p.HasStage(line) {
		first, last := submitted(g, line)
		if latest {
			return last
		}
		return first
	}
	var at *time.Time
	for i := range g.Duties {
		d := &g.Duties[i]
		if d.Statute != p.ID || d.Duty != line {
			continue
		}
		told := d.ToldAt
		if told == nil {
			told = &g.At // this revision does it
		}
		if at == nil || told.Before(*at) {
			at = told
		}
	}
	return at
}

// submitted returns when a stage was first and last received; nil if it was not.
func submitted(g *event.Graded, stage string) (first, last *time.Time) {
	if s, ok := g.State.Stages[stage]; ok {
		first, last = &s.First, &s.Last
	}
	if final := g.State.Final; stage == statute.StageFinal && final.Record != 0 && first == nil {
		first, last = &final.At, &final.At
	}
	return first, last
}

// lastOf returns when any of the stages was last received; nil if none was.
func lastOf(g *event.Graded, stages []string) (at *time.Time) {
	for _, stage := range stages {
		if _, last := submitted(g, stage); last != nil && (at == nil || last.After(*at)) {
			at = last
		}
	}
	return at
}

// uses reports whether any term counts from such a clock.
func uses(terms []statute.Term, such func(statute.Clock) bool) bool {
	return slices.ContainsFunc(terms, func(t statute.Term) bool { return such(t.Clock) })
}
