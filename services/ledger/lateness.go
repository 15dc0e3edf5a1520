package ledger

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// withLateness returns records with every escalation marked as late as it was stored.
func withLateness(c clock.Clock, batch []event.Stored) []event.Stored {
	if !clock.IsMachine(c) {
		return batch
	}
	var out []event.Stored
	for i, s := range batch {
		if late, is := event.WithStoredLateness(s); is {
			if out == nil {
				out = slices.Clone(batch) // others read it too
			}
			out[i] = late
		}
	}
	if out == nil {
		return batch
	}
	return out
}
