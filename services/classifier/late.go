package classifier

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Late returns the duties of the operator whose limit had passed when a report
// came, as far as the report shows it by itself: from discovery, which is its
// claim, to receipt. Each line of the law stands once.
func (rb Rulebook) Late(a *event.Accepted) ([]event.Lateness, error) {
	if a.Type == event.TypeWithdrawal {
		return nil, nil
	}
	g, err := rb.Revise(nil, 0, a, nil)
	if err != nil {
		return nil, err
	}
	var out []event.Lateness
	for _, d := range g.Duties {
		if d.From != a.Operator || d.DueAt == nil || !a.ReceivedAt.After(*d.DueAt) {
			continue
		}
		l := event.Lateness{
			Statute: d.Statute, Citation: d.Citation, Confidence: d.Confidence,
			DueAt: *d.DueAt, By: event.Duration(a.ReceivedAt.Sub(*d.DueAt)),
		}
		if !slices.ContainsFunc(out, func(o event.Lateness) bool { return o.Citation == l.Citation && o.DueAt.Equal(l.DueAt) }) {
			out = append(out, l)
		}
	}
	return out, nil
}
