package grading

import (
	"slices"

	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// Late returns the operator's duties whose limit had passed when a report was received,
// as far as the report alone (its data is r) shows it: from discovery, which is the
// operator's claim, to receipt. Each line of the law appears once. Intake calls it for
// the receipt, before the report is stored; it derives duties only if the report's times
// allow that one is late.
func (rb Rulebook) Late(a *event.Accepted, r *event.Report) ([]event.Lateness, error) {
	if a.Type == event.TypeWithdrawal || !rb.couldBeLate(a, r) {
		return nil, nil
	}
	v, err := rb.viewOf(a.Operator, event.State{}, *r)
	if err != nil {
		return nil, err
	}
	at := a.ReceivedAt.UTC()
	duties, err := resolver{rb: rb, op: v.op, prev: &event.Graded{}, report: v.report, received: at}.
		duties(rb.Statutes.Owed(v.Case, rb.Statutes.Assess(v.Case, at), at))
	if err != nil {
		return nil, err
	}
	var out []event.Lateness
	for _, d := range duties {
		if d.From != a.Operator || d.DueAt == nil || !a.ReceivedAt.After(*d.DueAt) {
			continue
		}
		l := event.Lateness{
			Statute: d.Statute, Citation: d.Citation, CitationZH: rb.Statutes.CitationZH(d.Statute, d.Citation), Confidence: d.Confidence,
			DueAt: *d.DueAt, By: event.Duration(a.ReceivedAt.Sub(*d.DueAt)),
		}
		if !slices.ContainsFunc(out, func(o event.Lateness) bool { return o.Citation == l.Citation && o.DueAt.Equal(l.DueAt) }) {
			out = append(out, l)
		}
	}
	return out, nil
}

// couldBeLate reports whether any limit of an operator had passed at the receipt,
// whatever the incident is. Most reports are in time.
func (rb Rulebook) couldBeLate(a *event.Accepted, r *event.Report) bool {
	if r.Imported {
		return false // an import starts no clock
	}
	for _, p := range rb.Statutes.Packs() {
		for i := range p.Duties {
			d := &p.Duties[i]
			if d.From.Role != statute.RoleOperator {
				continue
			}
			for _, t := range d.Terms {
				claim := claimOf(r, t.Clock)
				if claim != nil && rb.ended(a.Operator, p, t.Within, inForce(p, *claim), a.ReceivedAt) {
					return true
				}
			}
		}
	}
	return false
}

// ended reports whether a limit had ended for any facility of the operator.
func (rb Rulebook) ended(operator string, p *statute.Pack, l calendar.Limit, since, at time.Time) bool {
	if l.IsExact() {
		return l.After(since, p.Place(nil)).Before(at)
	}
	o, ok := rb.Register.Operator(operator)
	return ok && slices.ContainsFunc(o.Facilities, func(f register.Facility) bool {
		terms := f.Terms()
		return l.After(since, p.Place(&terms)).Before(at)
	})
}
