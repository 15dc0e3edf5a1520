// Package clock is time as a dependency. Only this package and cmd read the machine's
// clock; all other code gets a Clock or a time, so that a scenario of six hours runs in a
// millisecond and always gives the same result.
package clock

import (
	"math"
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// Wall returns the machine's time at which c reaches t, never early: an event that must
// happen at t by c is scheduled for Wall(c, t). For a Manual clock it is the machine's
// time plus the remainder, so that a timer set far ahead does not fire on its own in a
// test.
func Wall(c Clock, t time.Time) time.Time {
	if w, ok := c.(interface{ wall(time.Time) time.Time }); ok {
		return w.wall(t)
	}
	return t
}

// Until returns how long the machine runs until c reaches t; it is negative if c is past
// t.
func Until(c Clock, t time.Time) time.Duration { return time.Until(Wall(c, t)) }

// Speed returns the speed of c relative to the machine's clock: 1, unless c is a Scaled
// clock that runs.
func Speed(c Clock) int64 {
	if s, ok := c.(*Scaled); ok && s.Running() {
		return s.factor
	}
	return 1
}

// System is the machine's clock, in UTC.
type System struct{}

// Now returns the current time in UTC, without a monotonic reading, so that a time
// compares equal after being written and read back.
func (System) Now() time.Time { return time.Now().UTC().Round(0) }

// Steady returns the machine's time for measuring durations: the difference of two
// results is right even if the clock was set in between.
func Steady() time.Time { return time.Now().UTC() }

// Monotonic is Steady as a Clock: for code that measures durations.
type Monotonic struct{}

// Now returns Steady.
func (Monotonic) Now() time.Time { return Steady() }

// Uptime returns how long the process has run: Steady as a single number.
func Uptime() time.Duration { return time.Since(processStart) }

// processStart is when the process started.
var processStart = time.Now()

// Manual is a clock that moves only when Advance is called. It is safe for use by several
// goroutines.
type Manual struct {
	mu  sync.Mutex
	now time.Time
}

// NewManual returns a clock set to t.
func NewManual(t time.Time) *Manual { return &Manual{now: t.UTC()} }

// Now returns the time to which the clock is set.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock forward by d.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *Manual) wall(t time.Time) time.Time { return System{}.Now().Add(t.Sub(m.Now())) }

// Scaled shows the machine's time until Run, and then runs factor times as fast. It is
// derived from the machine's clock, so clocks with the same anchor agree as well as their
// machines do, and it never goes back: if the machine's clock is set back, it stops until
// that has caught up. It is safe for use by several goroutines.
type Scaled struct {
	factor  int64
	mu      sync.Mutex
	running bool
	scale   scale
	latest  time.Time // the latest time returned since Run
}

// NewScaled returns a clock that will run factor times as fast as the machine's;
// factor is at least 1.
func NewScaled(factor int) *Scaled { return &Scaled{factor: int64(max(1, factor))} }

// Run anchors the clock: it showed from at the machine's time at, and has run factor
// times as fast since. While that is behind the machine's time, it shows the machine's;
// it never shows less than from, even if at is still ahead by this machine. Once it runs,
// Run does nothing.
func (s *Scaled) Run(from, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return
	}
	s.running, s.latest = true, from.UTC().Round(0)
	s.scale = scale{from: s.latest, at: at.UTC().Round(0), factor: s.factor}
}

// Start is Run from now on.
func (s *Scaled) Start() {
	now := System{}.Now()
	s.Run(now, now)
}

// Running reports whether the clock has been anchored.
func (s *Scaled) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Now returns the clock's time in UTC, without a monotonic reading.
func (s *Scaled) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := System{}.Now()
	if !s.running {
		return now
	}
	if now = s.scale.clockAt(now); now.After(s.latest) {
		s.latest = now
	}
	return s.latest
}

func (s *Scaled) wall(t time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return t
	}
	return s.scale.machineAt(t)
}

// scale is a fast clock as a function of the machine's time: the later of that and a line
// through the anchor.
type scale struct {
	from, at time.Time
	factor   int64
}

// clockAt returns what the clock shows at a time of the machine.
func (p scale) clockAt(machine time.Time) time.Time {
	far := math.MaxInt64 / time.Duration(p.factor) // keeps the product within a Duration
	fast := p.from.Add(min(max(machine.Sub(p.at), -far), far) * time.Duration(p.factor))
	if fast.Before(machine) {
		return machine
	}
	return fast
}

// machineAt returns the first time of the machine at which the clock shows t or later.
func (p scale) machineAt(t time.Time) time.Time {
	f := time.Duration(p.factor)
	left := t.Sub(p.from)
	machine := p.at.Add(left / f)
	if left > 0 && left%f > 0 {
		machine = machine.Add(1)
	}
	if t.Before(machine) {
		return t
	}
	return machine
}

// IsMachine reports whether c shows the machine's time, as the stream's timestamps do.
func IsMachine(c Clock) bool {
	_, is := c.(System)
	return is
}
