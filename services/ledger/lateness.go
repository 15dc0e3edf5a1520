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
	out := slices.Clone(batch) // others read it too
	for i, s := range out {
		out[i], _ = event.WithStoredLateness(s)
	}
	return out
}
