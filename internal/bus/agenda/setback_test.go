package agenda

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// setClock is a clock that can be set, with a counter of elapsed time.
type setClock struct {
	now    time.Time
	passed time.Duration
}

func (c *setClock) Now() time.Time          { return c.now }
func (c *setClock) Passed() time.Duration   { return c.passed }
func (c *setClock) run(d time.Duration)     { c.now, c.passed = c.now.Add(d), c.passed+d }
func (c *setClock) set(by time.Duration)    { c.now = c.now.Add(by) }
func (a *Agenda) come(c *setClock) []string { return names(a.TakeDue(c, 100)) }
func (a *Agenda) stop(name string)          { a.Cancel("timer.at." + name) }
func clockAtTen() *setClock                 { return &setClock{now: time.Unix(36000, 0)} }
func agendaWith(c *setClock) *Agenda        { return New(c, nil, nil) }

// put sets a timer at the current time of a clock.
func (a *Agenda) put(c *setClock, name string, seq uint64, due time.Time) {
	r := event.RawRecord("timer.at."+name, c.now, "", nil)
	r.Due = due
	a.Add(stored(r, seq), true)
}

func TestAgenda_ClockSetBack(t *testing.T) {
	c := clockAtTen()
	a := agendaWith(c)
	a.put(c, "before.1", 1, c.now.Add(30*time.Minute))
	a.put(c, "before.2", 2, c.now.Add(50*time.Minute))
	c.run(10 * time.Minute)
	c.set(-time.Hour)
	a.put(c, "after.1", 3, c.now.Add(25*time.Minute))
	require.Empty(t, a.come(c))
	c.run(20*time.Minute - 1)
	require.Empty(t, a.come(c), "not early")
	c.run(1)
	require.Equal(t, []string{"before.1"}, a.come(c), "after half an hour, as if nobody had set the clock")
	c.run(5 * time.Minute)
	require.Equal(t, []string{"after.1"}, a.come(c))
	c.run(15 * time.Minute)
	require.Equal(t, []string{"before.2"}, a.come(c))
}

func TestAgenda_ClockSetBackAndForward(t *testing.T) {
	c := clockAtTen()
	a := agendaWith(c)
	a.put(c, "before.1", 1, c.now.Add(30*time.Minute))
	c.set(-time.Hour)
	require.Empty(t, a.come(c))
	c.run(10 * time.Minute)
	a.put(c, "between.1", 2, c.now.Add(80*time.Minute))
	a.put(c, "between.2", 3, c.now.Add(50*time.Minute))
	c.set(time.Hour)
	require.Equal(t, []string{"between.2"}, a.come(c), "a due time is a moment of the clock, which has come")
	c.run(20*time.Minute - 1)
	require.Empty(t, a.come(c), "not early by the clock that is right again")
	c.run(1)
	require.ElementsMatch(t, []string{"before.1", "between.1"}, a.come(c))
}

func TestAgenda_SetAgainAfterTheClockWasSetBack(t *testing.T) {
	c := clockAtTen()
	a := agendaWith(c)
	half := c.now.Add(30 * time.Minute)
	a.put(c, "replaced.1", 1, half)
	a.put(c, "cancelled.1", 2, half)
	a.put(c, "moved.1", 3, half)
	c.set(-time.Hour)
	a.put(c, "replaced.1", 4, half.Add(time.Minute)) // as a handler replaces its own timer
	a.stop("cancelled.1")
	a.put(c, "cancelled.1", 5, half) // as a revision sets the timer of the previous one again
	a.stop("moved.1")
	a.put(c, "moved.1", 6, c.now.Add(40*time.Minute)) // another time, by the clock as it is now
	c.run(30 * time.Minute)
	require.Equal(t, []string{"cancelled.1"}, a.come(c))
	c.run(time.Minute)
	require.Equal(t, []string{"replaced.1"}, a.come(c))
	c.run(9 * time.Minute)
	require.Equal(t, []string{"moved.1"}, a.come(c))
}

// TestAgenda_ReadAgainAfterTheClockWasSetBack: a timer that is read after a restart has a
// timestamp in the future.
func TestAgenda_ReadAgainAfterTheClockWasSetBack(t *testing.T) {
	c := clockAtTen()
	r := event.RawRecord("timer.at.before.1", c.now, "", nil)
	r.Due = c.now.Add(30 * time.Minute)
	c.set(-time.Hour)
	a := agendaWith(c)
	a.Add(stored(r, 1), true)
	c.run(30*time.Minute - 1)
	require.Empty(t, a.come(c))
	c.run(1)
	require.Equal(t, []string{"before.1"}, a.come(c))
}

// TestAgenda_SlewedClock: slewing by NTP is not a step.
func TestAgenda_SlewedClock(t *testing.T) {
	c := clockAtTen()
	a := agendaWith(c)
	a.put(c, "x.1", 1, c.now.Add(10*time.Hour))
	for range 10 * 60 {
		c.run(time.Minute)
		c.set(-30 * time.Millisecond)
		require.Empty(t, a.come(c))
	}
	c.run(18 * time.Second)
	require.Equal(t, []string{"x.1"}, a.come(c))
}
