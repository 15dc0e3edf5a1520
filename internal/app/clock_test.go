package app_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// settable is a machine's clock that the test sets.
type settable struct {
	mu sync.Mutex
	by time.Duration
}

func (s *settable) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().UTC().Add(s.by)
}

func (s *settable) set(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by += by
}

func doubts(r *event.Receipt) (n int) {
	for _, w := range r.Warnings {
		if w.Path == "$.receivedAt" {
			n++
		}
	}
	return n
}

// TestClockStep_IsReported sets the clock back while reports arrive: receipts, health and
// metrics say so, due times stay as they are, and every record is certified.
func TestClockStep_IsReported(t *testing.T) {
	t.Parallel()
	machine, began := &settable{}, time.Now()
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) {
		c.Clock = machine
		c.Watch = clock.NewWatchOf(machine.Now, func() time.Duration { return time.Since(began) }, time.Duration(c.Rulebook.Register.ClockTolerance))
	})
	before := w.report("initial", at, "a", "r1", onSite+large)
	require.Zero(t, doubts(before))
	w.settled()
	dues := func() (out []string) {
		for id, e := range w.past.escalated {
			if e.DueAt != nil && e.Incident == "a" && e.Revision == 1 {
				out = append(out, id+" "+e.DueAt.String())
			}
		}
		return out
	}
	was := dues()
	require.NotEmpty(t, was)
	machine.set(-2 * time.Hour)
	after := w.report("progress", at, "a", "r2", onSite+large)
	require.Equal(t, event.StatusAccepted, after.Status)
	require.Equal(t, 1, doubts(after), "%+v", after.Warnings)
	w.settled()
	require.ElementsMatch(t, was, dues())
	w.awaitReady("reports are taken")
	_, h := w.health("/readyz")
	require.True(t, strings.Contains(strings.Join(h.Warnings, " "), "behind a time that it has told before"), "%v", h.Warnings)
	_, metrics := w.get("/metrics")
	require.Contains(t, metrics, "tocsin_clock_steps_total 1\n")
	require.Contains(t, metrics, "tocsin_clock_doubtful 1\n")
	require.Contains(t, metrics, "tocsin_clock_offset_seconds -7")
	w.await("every record is certified", func() bool {
		state, err := w.client.Log(t.Context())
		return err == nil && state.Size >= after.Record
	})
}

// stepped is a scenario's clock that is set, beside the time that has passed.
type stepped struct {
	scenario *clock.Manual
	by       atomic.Int64
}

func (s *stepped) Now() time.Time        { return s.scenario.Now().Add(time.Duration(s.by.Load())) }
func (s *stepped) Passed() time.Duration { return s.scenario.Now().Sub(nine) }

// TestClockStep_DelaysNoAlarm sets the clock back while a desk is silent: it is overdue
// when its time has really passed, and not one millisecond before.
func TestClockStep_DelaysNoAlarm(t *testing.T) {
	t.Parallel()
	s := new(stepped)
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) {
		s.scenario = c.Clock.(*clock.Manual)
		c.Clock = s
	})
	w.report("initial", at, inc, "r1", onSite+large)
	by := *w.settled().escalated[toEnergy].AcknowledgeBy
	w.clock.Advance(by.Sub(nine) / 4)
	s.by.Store(int64(-time.Hour))
	w.clock.Advance(by.Sub(w.clock.Now()) - time.Millisecond)
	require.Equal(t, event.StatusAccepted, w.report("initial", at, "later", "r1", onSite+large).Status)
	require.NotContains(t, w.settled().overdue, toEnergy)
	w.clock.Advance(time.Millisecond)
	w.await("the desk is overdue", func() bool { w.read(); return w.past.overdue[toEnergy] != nil })
	require.True(t, w.past.overdue[toEnergy].At.Equal(by))
	w.await("the next desk is told", func() bool { w.read(); return w.past.open() == "" })
	for id := range w.past.overdue {
		require.Contains(t, id, "."+inc+".", "what came after the clock was set has its time")
	}
}
