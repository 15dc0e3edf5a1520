package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

const duty = "protection-energy"

// tell has an incident reported of which the desk is told once.
func (w *world) tell(incident string) (escalation string) {
	w.t.Helper()
	w.report("initial", at, incident, "r1", onSite+large)
	w.settled()
	return event.EscalationID(duty, at, incident, "1")
}

// watch shows count escalations on a screen and returns their ids and states.
func (w *world) watch(c *client.Client, screen string, count int) (shown []string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLimit)
	defer cancel()
	err := c.Watch(ctx, duty, screen, count, w.clock.Now, func(e *event.Escalated, row api.EscalationRow) error {
		require.Equal(w.t, e.ID, row.Escalation)
		require.NotEmpty(w.t, e.Report, "a screen need not ask back")
		shown = append(shown, row.Escalation+" "+row.State)
		return nil
	})
	require.NoError(w.t, err)
	return shown
}

func TestWatch_NewScreenStartsAtTheOldestUnacknowledged(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	var ids []string
	for i := range 4 {
		ids = append(ids, w.tell(fmt.Sprint("i", i)))
	}
	for _, i := range []int{0, 2} {
		_, err := w.client.Acknowledge(t.Context(), duty, ids[i], "duty-officer")
		require.NoError(t, err)
	}
	require.Equal(t, []string{ids[1] + " open", ids[2] + " acknowledged", ids[3] + " open"}, w.watch(w.client, "new", 3))

	// A screen on which everything is acknowledged starts with what comes.
	for _, i := range []int{1, 3} {
		_, err := w.client.Acknowledge(t.Context(), duty, ids[i], "duty-officer")
		require.NoError(t, err)
	}
	ended := make(chan []string)
	go func() { ended <- w.watch(w.dial(), "newer", 1) }() // it may wait before that comes or not
	next := w.tell("next")
	require.Equal(t, []string{next + " open"}, <-ended)
}

func TestWatch_ResumesAfterAnAbsence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	first := w.tell("first")
	require.Equal(t, []string{first + " open"}, w.watch(w.client, "hall", 1))

	// Escalations that came while it was away are shown, also those acknowledged on
	// another screen; also after the server was away too.
	second := w.tell("second")
	_, err := w.client.Acknowledge(t.Context(), duty, second, "duty-officer")
	require.NoError(t, err)
	w.shutdown()
	w = startWorldIn(t, dir, nil)
	third := w.tell("third")
	w.at("10:00")
	require.Equal(t, []string{second + " acknowledged", third + " overdue"}, w.watch(w.client, "hall", 2))

	// A screen that fails to show one is shown it again.
	fourth := w.tell("fourth")
	broken := errors.New("the screen went dark")
	err = w.client.Watch(t.Context(), duty, "hall", 0, w.clock.Now, func(*event.Escalated, api.EscalationRow) error { return broken })
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{fourth + " open"}, w.watch(w.client, "hall", 1))
}

func TestWatch_TwoScreensBothSeeAll(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const n = 20
	var wg sync.WaitGroup
	shown := make([][]string, 2)
	w.tell("i0")
	for i := range shown {
		c := w.dial()
		wg.Go(func() { shown[i] = w.watch(c, fmt.Sprint("screen-", i), n) })
	}
	for i := range n - 1 {
		w.report("initial", at, fmt.Sprint("i", i+1), "r1", onSite+large)
	}
	wg.Wait()
	require.Len(t, shown[0], n)
	require.Equal(t, shown[0], shown[1], "in the order of the ledger")
	require.Contains(t, shown[0], event.EscalationID(duty, at, "i19", "1")+" open")
}

func TestWatch_ShowsUndecodableEscalations(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	first := w.tell("first")
	require.Equal(t, []string{first + " open"}, w.watch(w.client, "hall", 1))
	strange := w.inject("incident.escalated.protection-energy.grid-east.x.1", "no JSON")
	good := w.tell("good")
	var rows []api.EscalationRow
	err := w.client.Watch(t.Context(), duty, "hall", 3, w.clock.Now, func(_ *event.Escalated, row api.EscalationRow) error {
		rows = append(rows, row)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, strange, rows[0].Record)
	require.Equal(t, event.Ungraded, rows[0].Grade)
	require.Equal(t, event.ActReview, rows[0].Act)
	// That nobody could handle it is told to the same desk, before what is behind it or after.
	require.Contains(t, []string{rows[1].Escalation, rows[2].Escalation}, good, "what is behind it is shown")
}

func TestWatch_EndsWithItsContextOrConsumer(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	yield := func(*event.Escalated, api.EscalationRow) error { return nil }
	require.ErrorContains(t, w.client.Watch(t.Context(), "nowhere", "x", 1, w.clock.Now, yield), "no desk")
	require.ErrorContains(t, w.client.Watch(t.Context(), duty, "", 1, w.clock.Now, yield), "$.client")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.client.Watch(ctx, duty, "x", 0, w.clock.Now, yield), context.DeadlineExceeded)

	// A consumer that is taken away ends the watch of its screen, whether it
	// waits or shows something meanwhile.
	w.tell("shown")
	for _, showing := range []bool{false, true} {
		remove := func() error { return w.js.DeleteConsumer(t.Context(), event.StreamLedger, "desk_protection-energy:y") }
		ended := make(chan error, 1)
		c := w.dial()
		go func() {
			ended <- c.Watch(context.Background(), duty, "y", 0, w.clock.Now, func(*event.Escalated, api.EscalationRow) error {
				if showing {
					return remove()
				}
				return nil
			})
		}()
		if !showing {
			require.Eventually(t, func() bool { return remove() == nil }, 30*time.Second, 20*time.Millisecond)
		}
		select {
		case err := <-ended:
			require.ErrorContains(t, err, "watch")
		case <-time.After(waitLimit):
			t.Fatal("it goes on for ever")
		}
	}
}
