package desk

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Questions on very many other incidents do not let a desk ask more on one; those that
// are old are forgotten.
func TestTurns_PendingQuestionsAreKept(t *testing.T) {
	t.Parallel()
	turns, now := newActLocks(), time.Unix(1000, 0)
	ask := func(incident string, record uint64) event.DeskAct {
		a := event.DeskAct{Kind: event.KindAsked, Desk: "protection-energy", Operator: "grid-east", Incident: incident}
		turns.addPending(a, record, now)
		return a
	}
	first := ask("first", 1)
	for i := range 2 * maxPending {
		ask(fmt.Sprint(i), uint64(i+2))
	}
	require.Len(t, turns.pendingAfter(first, 0), 1)
	now = now.Add(pendingAge + time.Second)
	ask("last", 20_000)
	require.Len(t, turns.pending, 1)
}
