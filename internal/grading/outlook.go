package grading

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Outlook returns what the first report of an incident (its data is r) lets the operator
// expect. Intake calls it for the receipt.
func (rb Rulebook) Outlook(a *event.Accepted, r *event.Report) (event.Outlook, error) {
	v, err := rb.viewOf(a.Operator, event.State{}, *r)
	if err != nil {
		return event.Outlook{}, err
	}
	at := a.ReceivedAt.UTC()
	found := rb.Statutes.Assess(v.Case, at)
	out := event.Outlook{Law: rb.Statutes.Law(v.Case, at)}
	for _, p := range rb.Statutes.Possible(v.Case, found, at) {
		out.Possible = addPossible(out.Possible, p, "", "", p.Rule.To.String())
	}
	out.Possible = event.WithFacts(out.Possible, found.CouldBeIf)
	return out, nil
}

// possible resolves the parties of possible duties.
func (r resolver) possible(list []statute.Possible) (out []event.PossibleDuty) {
	for _, p := range list {
		f, _ := r.op.Facility(p.Facility.ID)
		from, err := r.rb.Register.Party(p.Rule.From, r.op, f)
		if err != nil {
			continue // nobody can receive it: it would fail when it is owed
		}
		to, err := r.rb.Register.Party(p.Rule.To, r.op, f)
		if err != nil {
			continue
		}
		out = addPossible(out, p, from, to, "")
	}
	return out
}

// addPossible adds a duty to those that differ from it only in the recipient, which is a
// desk or, on a receipt, a role.
func addPossible(list []event.PossibleDuty, p statute.Possible, from, desk, role string) []event.PossibleDuty {
	d := event.PossibleDuty{
		Statute: p.Statute.ID, From: from, Act: p.Rule.Act, Grade: p.Grade, Facts: p.Facts,
		Citation: p.Rule.Citation, Confidence: p.Rule.Confidence,
	}
	i := slices.IndexFunc(list, func(o event.PossibleDuty) bool {
		return o.Statute == d.Statute && o.From == d.From && o.Act == d.Act && o.Grade == d.Grade && o.Citation == d.Citation && slices.Equal(o.Facts, d.Facts)
	})
	if i < 0 {
		list, i = append(list, d), len(list)
	}
	at := &list[i]
	at.Confidence = event.Weakest(at.Confidence, d.Confidence)
	if desk != "" && !slices.Contains(at.Desks, desk) {
		at.Desks = append(at.Desks, desk)
	}
	if role != "" && !slices.Contains(at.To, role) {
		at.To = append(at.To, role)
	}
	return list
}
