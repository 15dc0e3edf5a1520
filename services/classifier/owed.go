package classifier

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// owed lists what the operator owes after this revision: what the law's
// follow-ups demand and what desks have asked for, as far as no report has
// given it. What was owed once stays owed, also when the grade falls.
func (rb Rulebook) owed(prev, g *event.Graded, report event.Report, rules []statute.OwedFollowUp) []event.Obligation {
	var out []event.Obligation
	if !g.State.IsImported() {
		for _, r := range withStanding(rb.Statutes, prev, rules) {
			if o, ok := rb.followUp(prev, g, report, r); ok {
				out = append(out, o)
			}
		}
	}
	for _, a := range g.State.Asked {
		missing := slices.DeleteFunc(slices.Clone(a.Items), func(path string) bool { return g.State.Fields[path].Record > a.Record })
		if len(missing) == 0 {
			continue
		}
		o := event.Obligation{
			ID: fmt.Sprintf("ask-%d", a.Record), Kind: event.OwesAnswer, Items: missing, Since: &a.At, DueAt: a.DueAt,
			Desk: a.Desk, Officer: a.Officer, Reason: a.Reason,
		}
		if a.DueAt != nil {
			o.Remind = moments(a.At, *a.DueAt, rb.Register.Remind)
		}
		out = append(out, o)
	}
	return out
}

// withStanding adds the rules of what was owed before to those that the case
// triggers now.
func withStanding(packs *statute.Set, prev *event.Graded, rules []statute.OwedFollowUp) []statute.OwedFollowUp {
	for _, o := range prev.Owed {
		known := func(r statute.OwedFollowUp) bool { return r.Statute.ID == o.Statute && r.Rule.ID == o.Rule }
		if o.Kind == event.OwesAnswer || slices.ContainsFunc(rules, known) {
			continue
		}
		p, ok := packs.Pack(o.Statute)
		if !ok {
			continue // the pack is gone; what it demanded stands in the ledger
		}
		if i := slices.IndexFunc(p.FollowUps, func(f statute.FollowUp) bool { return f.ID == o.Rule }); i >= 0 {
			rules = append(rules, statute.OwedFollowUp{Statute: p, Rule: &p.FollowUps[i]})
		}
	}
	return rules
}

// followUp says what of a rule is still owed.
func (rb Rulebook) followUp(prev, g *event.Graded, report event.Report, r statute.OwedFollowUp) (event.Obligation, bool) {
	o := event.Obligation{
		ID: r.Statute.ID + "." + r.Rule.ID, Kind: event.OwesItems, Statute: r.Statute.ID, Rule: r.Rule.ID,
		Citation: r.Rule.Citation, Quote: r.Rule.Quote, Confidence: r.Rule.Confidence,
	}
	if r.Rule.Report != "" {
		o.Kind, o.Report = event.OwesReport, r.Rule.Report
		if g.State.Final.Record != 0 {
			return o, false
		}
	} else {
		o.Items = slices.DeleteFunc(slices.Clone(r.Rule.Items), func(path string) bool { return g.State.Knows(path) })
		if len(o.Items) == 0 {
			return o, false
		}
	}
	if r.Rule.Within == nil {
		return o, true
	}
	o.Within, o.Clock = r.Rule.Within.String(), string(r.Rule.Clock)
	if since := start(g, report, r.Rule.Clock); since != nil {
		due := r.Rule.Within.After(*since).UTC()
		o.Since, o.DueAt = since, &due
	}
	// A correction never moves a due time later, nor away.
	i := slices.IndexFunc(prev.Owed, func(before event.Obligation) bool { return before.ID == o.ID })
	if i >= 0 && prev.Owed[i].DueAt != nil && (o.DueAt == nil || prev.Owed[i].DueAt.Before(*o.DueAt)) {
		o.Since, o.DueAt = prev.Owed[i].Since, prev.Owed[i].DueAt
	}
	if o.DueAt != nil {
		fractions := r.Rule.Remind
		if fractions == nil {
			fractions = rb.Register.Remind
		}
		o.Remind = moments(*o.Since, *o.DueAt, fractions)
	}
	return o, true
}

// start is when the clock of a follow-up begins to run; nil while it does not.
// The end of handling and the discovery are the operator's claims; a claim
// about the future counts as its receipt. Reported and graded are now: of what
// was owed before, the earlier time stands.
func start(g *event.Graded, report event.Report, clock statute.Clock) *time.Time {
	claim := &g.At
	switch clock {
	case statute.ClockHandled:
		claim = report.HandledAt
	case statute.ClockDiscovered:
		claim = report.DiscoveredAt
	}
	if claim == nil {
		return nil
	}
	at := claim.UTC()
	if at.After(g.At) {
		at = g.At
	}
	return &at
}
