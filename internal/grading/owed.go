package grading

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// owed lists what the operator owes after this revision: what the law's follow-ups demand
// and what desks have asked for, unless a report has given it. What was owed once stays
// owed, also when the grade falls.
func (r resolver) owed(g *event.Graded, rules []statute.OwedFollowUp) []event.Obligation {
	var out []event.Obligation
	if !g.State.IsImported() {
		for _, rule := range withEarlier(r.rb.Statutes, r.prev, rules) {
			if o, ok := r.followUp(g, rule); ok {
				out = append(out, o)
			}
		}
	}
	for _, a := range g.State.Asked {
		missing := g.State.Missing(a)
		if len(missing) == 0 {
			continue
		}
		o := event.Obligation{
			ID: fmt.Sprintf("ask-%d", a.Record), Kind: event.OwesAnswer, Items: missing, Since: &a.At, DueAt: a.DueAt,
			Desk: a.Desk, Officer: a.Officer, Reason: a.Reason,
		}
		if a.DueAt != nil {
			o.Remind = moments(a.At, *a.DueAt, r.rb.Register.Remind)
		}
		out = append(out, o)
	}
	for i := range out {
		out[i].Listed = g.At
		if before, ok := r.before(out[i].ID); ok && (before.DueAt != nil || out[i].DueAt == nil) {
			out[i].Listed = before.Listed
		}
	}
	return out
}

// before returns an obligation as the previous revision lists it.
func (r resolver) before(id string) (event.Obligation, bool) {
	i := slices.IndexFunc(r.prev.Owed, func(o event.Obligation) bool { return o.ID == id })
	if i < 0 {
		return event.Obligation{}, false
	}
	return r.prev.Owed[i], true
}

// withEarlier adds the rules behind earlier obligations to those that the case triggers
// now.
func withEarlier(packs *statute.Set, prev *event.Graded, rules []statute.OwedFollowUp) []statute.OwedFollowUp {
	for _, o := range prev.Owed {
		known := func(r statute.OwedFollowUp) bool { return r.Statute.ID == o.Statute && r.Rule.ID == o.Rule }
		if o.Kind == event.OwesAnswer || slices.ContainsFunc(rules, known) {
			continue
		}
		p, ok := packs.Pack(o.Statute)
		if !ok {
			continue // the pack is gone; its demand is still in the ledger
		}
		if i := slices.IndexFunc(p.FollowUps, func(f statute.FollowUp) bool { return f.ID == o.Rule }); i >= 0 {
			rules = append(rules, statute.OwedFollowUp{Statute: p, Rule: &p.FollowUps[i]})
		}
	}
	return rules
}

// followUp returns what is still owed under a rule.
func (r resolver) followUp(g *event.Graded, owed statute.OwedFollowUp) (event.Obligation, bool) {
	rule := owed.Rule
	o := event.Obligation{
		ID: owed.Statute.ID + "." + rule.ID, Kind: event.OwesItems, Statute: owed.Statute.ID, Rule: rule.ID,
		Citation: rule.Citation, Quote: rule.Quote, Confidence: rule.Confidence,
	}
	if rule.Report != "" {
		o.Kind, o.Report = event.OwesReport, rule.Report
		if g.State.Final.Record != 0 {
			return o, false
		}
	} else {
		o.Items = slices.DeleteFunc(slices.Clone(rule.Items), func(path string) bool { return g.State.Knows(path) })
		if len(o.Items) == 0 {
			return o, false
		}
	}
	if rule.Within == nil {
		return o, true
	}
	o.Within, o.Clock = rule.Within.String(), string(rule.Clock)
	if since := r.start(g, owed); since != nil {
		due := rule.Within.After(*since, owed.Statute.Place(owed.Facility)).UTC()
		o.Since, o.DueAt = since, &due
	}
	// A correction never moves a due time or its reminders later, and cannot remove them.
	if before, ok := r.before(o.ID); ok && before.DueAt != nil && (o.DueAt == nil || before.Since.Before(*o.Since)) {
		o.Since, o.DueAt = before.Since, before.DueAt
	}
	if o.DueAt != nil {
		o.CalendarEnds = rule.Within.CalendarEnds(o.DueAt, owed.Statute.Place(owed.Facility))
		fractions := rule.Remind
		if fractions == nil {
			fractions = r.rb.Register.Remind
		}
		o.Remind = moments(*o.Since, *o.DueAt, fractions)
	}
	return o, true
}

// start returns when the clock of a follow-up starts; nil while it does not run. The end
// of handling and the discovery are the operator's claims; a claim about the future
// counts as its receipt. Reported and graded are now, or when a threshold was crossed; an
// obligation that was owed before keeps the earlier time.
func (r resolver) start(g *event.Graded, owed statute.OwedFollowUp) *time.Time {
	claim := &g.At
	if c, ok := r.crossed[owed.Statute.ID+"/"+owed.Rule.ID]; ok {
		claim = &c.at
	}
	switch owed.Rule.Clock {
	case statute.ClockHandled:
		claim = r.report.HandledAt
	case statute.ClockDiscovered:
		claim = r.report.DiscoveredAt
	}
	if claim == nil {
		return nil
	}
	at := claim.UTC()
	if at.After(g.At) {
		at = g.At
	}
	at = inForce(owed.Statute, at).UTC()
	return &at
}
