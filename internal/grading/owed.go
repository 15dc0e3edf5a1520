package grading

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// owed lists what the operator owes after this revision: what the law's follow-ups demand
// and what desks have asked for, unless a report has given it. What was owed once stays
// owed, also when the grade falls.
func (r resolver) owed(g *event.Graded, c statute.Case) []event.Obligation {
	var out []event.Obligation
	rules := r.rb.Statutes.FollowUps(c, g.Assessment, g.At)
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
		r.cite(g, c, &o)
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

// cite adds the line of the law under which a desk asks for a stage.
func (r resolver) cite(g *event.Graded, c statute.Case, o *event.Obligation) {
	for _, item := range o.Items {
		stage, ok := strings.CutPrefix(item, event.ItemStage)
		if !ok {
			continue
		}
		for _, asked := range r.rb.Statutes.Requests(c, g.Assessment, g.At) {
			if slices.Contains(asked.Rule.Stages, stage) {
				o.Statute, o.Rule, o.Citation = asked.Statute.ID, asked.Rule.ID, asked.Rule.Citation
				o.Quote, o.Confidence = asked.Rule.Quote, asked.Rule.Confidence
			}
		}
	}
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
			rules = append(rules, statute.OwedFollowUp{Statute: p, Rule: &p.FollowUps[i], Confidence: o.Confidence})
		}
	}
	return rules
}

// followUp returns what is still owed under a rule.
func (r resolver) followUp(g *event.Graded, owed statute.OwedFollowUp) (event.Obligation, bool) {
	rule := owed.Rule
	o := event.Obligation{
		ID: owed.Statute.ID + "." + rule.ID, Kind: event.OwesItems, Statute: owed.Statute.ID, Rule: rule.ID,
		Citation: rule.Citation, Quote: rule.Quote, Confidence: owed.Confidence,
	}
	last := lastOf(g, rule.Stages)
	switch {
	case len(rule.Stages) == 0:
		o.Items = slices.DeleteFunc(slices.Clone(rule.Items), func(path string) bool { return g.State.Knows(path) })
		if len(o.Items) == 0 {
			return o, false
		}
	case last != nil && (rule.Every == nil || r.report.HandledAt != nil || lastOf(g, []string{statute.StageFinal}) != nil):
		return o, false
	default:
		o.Kind, o.Report, o.OrReports = event.OwesReport, rule.Stages[0], rule.Stages[1:]
	}
	if rule.Within == nil && rule.Every == nil {
		return o, true
	}
	r.setDue(g, owed, last, &o)
	if o.DueAt != nil {
		fractions := rule.Remind
		if fractions == nil {
			fractions = r.rb.Register.Remind
		}
		o.Remind = moments(*o.Since, *o.DueAt, fractions)
	}
	return o, true
}

// setDue sets when an obligation is due, if its clock runs; last is when it was carried
// out before, of one that recurs.
func (r resolver) setDue(g *event.Graded, owed statute.OwedFollowUp, last *time.Time, o *event.Obligation) {
	rule, place := owed.Rule, owed.Statute.Place(owed.Facility)
	terms := rule.Terms
	start := func(c statute.Clock) *time.Time { return r.start(g, owed, c) }
	if rule.Every != nil && (last != nil || len(terms) == 0) {
		terms = []statute.Term{{Within: *rule.Every}}
		start = func(statute.Clock) *time.Time { return cmp.Or(last, &g.At) }
	}
	o.Within, o.Clock = terms[0].Within.String(), string(terms[0].Clock)
	if due := statute.FirstDue(terms, start, r.stated, place); due != nil {
		o.Since, o.DueAt, o.Within, o.Clock = &due.Since, &due.At, due.Term.Within.String(), string(due.Term.Clock)
		o.CalendarEnds = due.Term.Within.CalendarEnds(o.DueAt, place)
	}
	// A correction never moves a due time or its reminders later, and cannot remove them.
	// What counts from the last report of several is due later with each.
	again := rule.Every != nil && last != nil || uses(terms, func(c statute.Clock) bool { _, latest := c.Line(); return latest })
	if before, ok := r.before(o.ID); ok && !again && before.DueAt != nil && (o.DueAt == nil || before.DueAt.Before(*o.DueAt)) {
		o.Since, o.DueAt, o.CalendarEnds = before.Since, before.DueAt, before.CalendarEnds
	}
}

// start returns when a clock of a follow-up starts; nil while it does not run. The end of
// handling and the discovery are the operator's claims; a claim about the future counts as
// its receipt. Reported and graded are now, or when a threshold was crossed; an obligation
// that was owed before keeps the earlier time.
func (r resolver) start(g *event.Graded, owed statute.OwedFollowUp, c statute.Clock) *time.Time {
	at := &g.At
	if crossed, ok := r.crossed[owed.Statute.ID+"/"+owed.Rule.ID]; ok {
		at = &crossed.at
	}
	claim := claimOf(&r.report, c)
	switch line, latest := c.Line(); {
	case line != "":
		at = carriedOut(g, owed.Statute, line, latest)
	case claim != nil || waits(c) || c == statute.ClockDiscovered:
		at = claim
	}
	if at == nil {
		return nil
	}
	from := at.UTC()
	if from.After(g.At) {
		from = g.At
	}
	from = inForce(owed.Statute, from).UTC()
	return &from
}
