package deadline

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// lose removes timers without the service's knowledge.
func (w *tower) lose(filter string) {
	w.t.Helper()
	s, err := bustest.JetStream(w.t, w.env).Stream(w.t.Context(), event.StreamTimers)
	require.NoError(w.t, err)
	require.NoError(w.t, s.Purge(w.t.Context(), jetstream.WithPurgeSubject(filter)))
}

// TestSweep_LostTimersComeDue: clocks whose timers were lost while the service was
// stopped, or while it ran, come due; settled ones do not, and nothing is recorded twice.
func TestSweep_LostTimersComeDue(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{true, false} {
		t.Run(fmt.Sprint("away ", away), func(t *testing.T) {
			t.Parallel()
			w := raise(t, t.TempDir(), nine)
			owed := event.Obligation{ID: "s", Listed: nine, DueAt: ptr(at(60)), Remind: []time.Time{at(5), at(30)}}
			w.grade(revision(1, event.Graded{RegradeAt: ptr(at(20)), Owed: []event.Obligation{owed}}))
			open, met, passed := w.tell("hall", "open", 300), w.tell("hall", "met", 300), w.tell("hall", "passed", 3)
			w.acknowledge(met, at(1), at(300))
			w.move(6)
			w.settles()
			before := w.set()
			if away {
				w.stop()
			}
			w.lose("timer.>")
			if away {
				w.run()
				w.until("they are set again", func() bool { return len(w.set()) == len(before) })
				require.Equal(t, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(w.set())))
			}
			w.move(301)
			w.until("everything comes due", func() bool {
				return len(records[event.Elapsed](t, w.env, "incident.elapsed.mill.>")) == 1 &&
					len(records[event.Reminder](t, w.env, event.AllReminded)) == 3 && len(records[event.Overdue](t, w.env, event.AllOverdue)) >= 2
			})
			var overdue []string
			for _, o := range records[event.Overdue](t, w.env, event.AllOverdue) {
				overdue = append(overdue, o.Escalation)
			}
			require.ElementsMatch(t, []string{open, passed}, overdue)
		})
	}
}

// TestSweep_ReadsOnlyWhatMayStillRun: records before the oldest running clock are not
// read again.
func TestSweep_ReadsOnlyWhatMayStillRun(t *testing.T) {
	t.Parallel()
	w := raise(t, t.TempDir(), nine)
	w.tell("hall", "passed", 3)
	w.move(4)
	w.settles()
	w.stop()
	before, err := w.env.Bus.Head(t.Context())
	require.NoError(t, err)
	w.run()
	w.tell("hall", "open", 300)
	w.until("it is swept", func() bool {
		at, err := w.env.Bus.Position(t.Context(), nameSweep)
		return err == nil && at >= 1 && at <= before
	})
}
