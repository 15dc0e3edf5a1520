package grading

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// TestTell_OwnDetermination: a desk need not acknowledge its own determination; the
// others are told whose it is.
func TestTell_OwnDetermination(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+","+major))
	g := s.fold(determine("d", "protection-energy", "09:20", event.General))
	for _, e := range g.Escalations {
		require.Equal(t, event.ActUpdate, e.Act)
		require.Equal(t, "protection-energy", e.From, e.Desk)
		require.Equal(t, e.Desk == "protection-energy", e.AcknowledgeDefault == nil && e.AcknowledgeWithin == nil, e.Desk)
	}
	require.True(t, slices.ContainsFunc(g.Escalations, func(e event.Escalation) bool { return e.Desk == "protection-energy" }))
}

// TestChange_HandledWhileAnOutageLasts: the desk reads that the clock continues, and how
// it ends.
func TestChange_HandledWhileAnOutageLasts(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	g := s.fold(next("r2", "09:06", `"handledAt":"2026-03-02T09:05:30+08:00"`))
	require.Contains(t, g.Change.Reason, "facts.outage has no end, and its clock goes on until")
	g = s.fold(next("r3", "09:07", ended("09:06")))
	require.NotContains(t, g.Change.Reason, "no end")
	g = s.fold(next("r4", "09:08", `"handledAt":"2026-03-02T09:06:30+08:00"`))
	require.NotContains(t, g.Change.Reason, "no end")
}
