package desk

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestAsk_UnansweredQuestionsAreBounded, however many arrive concurrently and before any
// is folded; an answer makes room, and each desk has a bound of its own.
func TestAsk_UnansweredQuestionsAreBounded(t *testing.T) {
	env, _ := house(t)
	revise(t, env, 1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	taken := []api.DeskActAnswer{}
	for i := range 3 * event.MaxAsks {
		wg.Go(func() {
			a := act(t, env, "hall", say(event.KindAsked, map[string]any{"id": fmt.Sprint("q", i), "reason": "short"}))
			mu.Lock()
			defer mu.Unlock()
			if a.Status == event.StatusAccepted {
				taken = append(taken, a)
			} else if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "wait for an answer") {
				t.Errorf("%v", a)
			}
		})
	}
	wg.Wait()
	require.Len(t, taken, event.MaxAsks)
	require.Equal(t, event.StatusDuplicate, act(t, env, "hall", say(event.KindAsked, map[string]any{"id": taken[0].ID, "reason": "short"})).Status)

	// The classifier has folded them all, and a report has answered all but one.
	head, err := env.Bus.Head(t.Context())
	require.NoError(t, err)
	commit(t, env, event.GradedSubject("mill", "flood", 2), event.Graded{Operator: "mill", Incident: "flood", Revision: 2, Through: head,
		Owed: []event.Obligation{{ID: "ask-1", Kind: event.OwesAnswer, Desk: "hall", Reason: "short", Listed: nine}}})
	require.Equal(t, event.StatusAccepted, act(t, env, "hall", say(event.KindAsked, map[string]any{"id": "after", "reason": "short"})).Status)
}

func TestAsk_WordsAreBoundedToo(t *testing.T) {
	env, _ := house(t)
	revise(t, env, 1)
	taken := 0
	for i := range event.MaxAsks {
		a := act(t, env, "hall", say(event.KindAsked, map[string]any{"id": fmt.Sprint("q", i), "reason": strings.Repeat("据", 2000)}))
		if a.Status == event.StatusAccepted {
			taken++
			continue
		}
		require.Equal(t, []string{"$.reason"}, refused(t, a))
	}
	require.Equal(t, event.MaxAskBytes/(3*2000), taken)
}

func TestAsk_NotOfAnIncidentThatIsTooLarge(t *testing.T) {
	env, _ := house(t)
	commit(t, env, event.GradedSubject("mill", "flood", 1), event.Graded{Operator: "mill", Incident: "flood", Revision: 1,
		Change: event.Change{Reason: strings.Repeat("x", event.MaxAdded)}})
	a := act(t, env, "hall", say(event.KindAsked, nil))
	require.Equal(t, []string{"$.kind"}, refused(t, a))
	require.Contains(t, a.Errors[0].Message, fmt.Sprint(event.MaxAdded))
	require.Equal(t, event.StatusAccepted, act(t, env, "hall", say(event.KindDetermined, nil)).Status, "a grade can still be set")
}

// TestActs_FewerOfALargeIncident: each act repeats the incident to every desk, so fewer
// are accepted on a larger one; the number is unchanged for an ordinary one.
func TestActs_FewerOfALargeIncident(t *testing.T) {
	for _, row := range []struct{ bytes, want int }{{0, event.MaxActs}, {20 << 10, event.MaxActs}, {64 << 10, 256}, {event.MaxAdded, event.MinActs}} {
		require.Equal(t, row.want, event.MaxActsOf(row.bytes), row.bytes)
	}
	env, _ := house(t)
	commit(t, env, event.GradedSubject("mill", "flood", 1), event.Graded{Operator: "mill", Incident: "flood", Revision: 1,
		Change: event.Change{Reason: strings.Repeat("x", event.MaxAdded)}})
	determine := func(n int) api.DeskActAnswer {
		return act(t, env, "hall", say(event.KindDetermined, map[string]any{"id": fmt.Sprint("d", n)}))
	}
	for n := range event.MinActs {
		require.Equal(t, event.StatusAccepted, determine(n).Status)
	}
	require.Equal(t, []string{"$.kind"}, refused(t, determine(event.MinActs)))
	require.Equal(t, event.StatusDuplicate, determine(0).Status)
}
