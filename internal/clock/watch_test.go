package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machineClock is a clock and a counter that a test sets independently.
type machineClock struct {
	wall   time.Time
	passed time.Duration
}

func (m *machineClock) run(d time.Duration) { m.wall, m.passed = m.wall.Add(d), m.passed+d }

func watched(tolerance time.Duration) (*machineClock, *Watch) {
	m := &machineClock{wall: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), passed: 17 * time.Hour}
	return m, NewWatchOf(func() time.Time { return m.wall }, func() time.Duration { return m.passed }, tolerance)
}

func TestWatch_SteadyClock(t *testing.T) {
	m, w := watched(time.Minute)
	for range 1000 {
		m.run(time.Hour)
		require.Equal(t, State{}, w.Check())
	}
	m.wall = m.wall.Add(-time.Minute) // within the tolerance
	require.Equal(t, State{Offset: -time.Minute}, w.Check())
}

func TestWatch_SetBack(t *testing.T) {
	m, w := watched(time.Minute)
	m.run(time.Hour)
	m.wall = m.wall.Add(-2 * time.Hour)
	s := w.Check()
	require.EqualValues(t, 1, s.Steps)
	require.Equal(t, -2*time.Hour, s.Last)
	require.Equal(t, -2*time.Hour, s.Offset)
	require.Contains(t, s.Doubt, "2h0m0s behind a time that it has told before")
	m.run(time.Hour + time.Minute)
	require.Contains(t, w.Check().Doubt, "behind", "it still tells times for the second time")
	m.run(time.Hour)
	require.Empty(t, w.Check().Doubt, "it has gone beyond what it told")
	require.EqualValues(t, 1, w.Check().Steps)
	require.Equal(t, -2*time.Hour, w.Check().Offset)
}

func TestWatch_SetForward(t *testing.T) {
	m, w := watched(time.Minute)
	m.wall = m.wall.Add(time.Hour)
	require.Contains(t, w.Check().Doubt, "was set by 1h0m0s")
	m.run(doubtFor - time.Second)
	require.NotEmpty(t, w.Check().Doubt)
	m.run(time.Second)
	require.Empty(t, w.Check().Doubt)
}

func TestWatch_Drift(t *testing.T) {
	m, w := watched(time.Minute)
	for range 61 {
		m.run(time.Hour)
		m.wall = m.wall.Add(time.Second)
		w.Check()
	}
	require.EqualValues(t, 1, w.Check().Steps, "many small steps are seen as one")
	require.Equal(t, 61*time.Second, w.Check().Offset)
}

func TestWatch_BehindTheRecord(t *testing.T) {
	m, w := watched(time.Minute)
	w.Observe(m.wall.Add(time.Minute))
	require.Empty(t, w.Check().Doubt, "within the tolerance")
	w.Observe(m.wall.Add(3 * time.Hour))
	require.Contains(t, w.Check().Doubt, "3h0m0s behind")
	m.run(3 * time.Hour)
	require.Empty(t, w.Check().Doubt)
}

func TestNewWatch_SeesTheMachine(t *testing.T) {
	require.Equal(t, uint64(0), NewWatch(time.Minute).Check().Steps)
	before := passed()
	require.GreaterOrEqual(t, passed(), before)
}
