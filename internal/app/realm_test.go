package app

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Which record the clock goes on from, and where none is fit to.
func TestDrillClock_ResumesFromTheLastRecord(t *testing.T) {
	t.Parallel()
	env := bustest.StartRealm(t, t.TempDir(), clock.System{}, event.Drill)
	now := clock.System{}.Now()
	commit := func(subject string, at time.Time) uint64 {
		results, err := env.Bus.Commit(t.Context(), []event.Record{event.RawRecord(subject, at, "", []byte("{}"))})
		require.NoError(t, err)
		return results[0].Sequence
	}
	poison := func(subject string) uint64 {
		ack, err := bustest.JetStream(t, env).Publish(t.Context(), event.Drill.Wire(subject), []byte("no JSON"))
		require.NoError(t, err)
		return ack.Sequence
	}
	resume := func(what string, over time.Duration, anew bool) *drill {
		d := &drill{clock: clock.NewScaled(60), bus: env.Bus, log: zap.NewNop(), idleLimit: over}
		require.NoError(t, d.resume(t.Context(), anew), what)
		return d
	}
	runsFrom := func(c *clock.Scaled, at time.Time) {
		t.Helper()
		require.True(t, c.Running())
		told := c.Now()
		require.False(t, told.Before(at))
		require.False(t, told.After(at.Add(clock.System{}.Now().Sub(now)*60)), "since the test began at most")
	}
	from := func(at time.Time) {
		t.Helper()
		runsFrom(resume("", time.Hour, false).clock, at)
	}
	d := resume("no record", time.Hour, false)
	require.False(t, d.clock.Running())
	require.Zero(t, d.last)
	commit(event.RulesSubject("x"), now)
	require.False(t, resume("rules are no drill", time.Hour, false).clock.Running())
	require.Equal(t, poison("incident.accepted.x.poison.1"), resume("none has a stamp", time.Hour, false).last)
	require.False(t, resume("none has a stamp", time.Hour, false).clock.Running())

	far := now.Add(10 * time.Hour)
	seq := commit("incident.accepted.x.x.1", far)
	from(far)
	commit(event.RulesSubject("y"), now.Add(20*time.Hour))
	from(far)
	last := poison("incident.accepted.x.poison.2")
	from(far)
	require.Greater(t, last, seq)

	d = resume("a new one is wanted", time.Hour, true)
	require.False(t, d.clock.Running())
	require.Equal(t, last, d.last)
	d = resume("it is over", time.Nanosecond, false)
	require.False(t, d.clock.Running())
	bustest.Background(t, func(ctx context.Context) error { return d.run(ctx) })
	poison("incident.accepted.x.poison.3")
	commit("incident.graded.x.x.1", far)
	begins := clock.System{}.Now().Add(5 * time.Hour) // by a process whose drill is not over
	commit("incident.accepted.x.x.2", begins)
	require.Eventually(t, d.clock.Running, 30*time.Second, time.Millisecond)
	// It runs from this report, and so did not begin with the older records, with one that
	// has no stamp, or with one that is no report, which all came before.
	runsFrom(d.clock, begins)
	from(begins)
}
