package grading

import "github.com/tocsin-project/tocsin/internal/event"

// Outlook returns what the first report of an incident (its data is r) lets the operator
// expect. Intake calls it for the receipt.
func (rb Rulebook) Outlook(a *event.Accepted, r *event.Report) (event.Outlook, error) {
	v, err := rb.viewOf(a.Operator, event.State{}, *r)
	if err != nil {
		return event.Outlook{}, err
	}
	return event.Outlook{Law: rb.Statutes.Law(v.Case, a.ReceivedAt.UTC())}, nil
}
