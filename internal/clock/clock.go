// Package clock is time as a dependency. Only this package and cmd read the
// machine's clock; everything else is handed a Clock or an instant, so that a
// scenario of six hours runs in a millisecond and says the same every time.
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

// Wall returns when, by the machine's clock, c reaches t. What must come at t
// by c is asked for at Wall(c, t), never early. For a Manual clock it is the
// machine's time plus what is left, so that what is set for a far time does not
// come by itself in a test.
func Wall(c Clock, t time.Time) time.Time {
	if w, ok := c.(interface{ wall(time.Time) time.Time }); ok {
		return w.wall(t)
	}
	return t
}

// Until returns how long the machine runs until c reaches t; it is negative
// when c is past t.
func Until(c Clock, t time.Time) time.Duration { return time.Until(Wall(c, t)) }

// Pace returns how many times as fast as the machine's c runs: 1, unless it is a
// Scaled clock that has its anchor.
func Pace(c Clock) int64 {
	if s, ok := c.(*Scaled); ok && s.Runs() {
		return s.factor
	}
	return 1
}

// System is the machine's clock, in UTC.
type System struct{}

// Now returns the current time in UTC, without a monotonic reading, so that
// what is written down and read back compares equal.
func (System) Now() time.Time { return time.Now().UTC().Round(0) }

// Steady returns the machine's time for measuring how long something takes: the
// difference of two of its results is right also where the clock was set in between.
func Steady() time.Time { return time.Now().UTC() }

// Monotonic is Steady as a Clock: for code that measures durations.
type Monotonic struct{}

// Now returns Steady.
func (Monotonic) Now() time.Time { return Steady() }

// Running returns for how long the process has run: Steady where one number must do.
func Running() time.Duration { return time.Since(began) }

// began is when the process did.
var began = time.Now()

// Manual is a clock that stands still until it is moved. It is safe for use by
// several goroutines.
type Manual struct {
	mu  sync.Mutex
	now time.Time
}

// NewManual returns a clock that stands at t.
func NewManual(t time.Time) *Manual { return &Manual{now: t.UTC()} }

// Now returns the time at which the clock stands.
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

// Scaled tells the machine's time until it runs, and from then on is factor
// times as fast. It goes by the machine's clock, so that those who have the same
// anchor agree as their machines do, and it never goes back: where the machine's
// clock is set back it stands. It is safe for use by several goroutines.
type Scaled struct {
	factor int64
	mu     sync.Mutex
	runs   bool
	pace   pace
	told   time.Time // the latest since it runs
}

// NewScaled returns a clock that will run factor times as fast as the machine's;
// factor is at least 1.
func NewScaled(factor int) *Scaled { return &Scaled{factor: int64(max(1, factor))} }

// Run anchors the clock: at the machine's time at it said from, and since then
// it is factor times as fast. As long as that is behind the machine's time, it
// tells the machine's; and never less than from, though by this machine at may
// not have come yet. Once it runs, Run does nothing.
func (s *Scaled) Run(from, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs {
		return
	}
	s.runs, s.told = true, from.UTC().Round(0)
	s.pace = pace{from: s.told, at: at.UTC().Round(0), factor: s.factor}
}

// Start is Run from now on.
func (s *Scaled) Start() {
	now := System{}.Now()
	s.Run(now, now)
}

// Runs reports whether the clock has its anchor.
func (s *Scaled) Runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs
}

// Now returns the clock's time in UTC, without a monotonic reading.
func (s *Scaled) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := System{}.Now()
	if !s.runs {
		return now
	}
	if now = s.pace.shows(now); now.After(s.told) {
		s.told = now
	}
	return s.told
}

func (s *Scaled) wall(t time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runs {
		return t
	}
	return s.pace.reaches(t)
}

// pace is a fast clock as a function of the machine's time: a line through the
// anchor, and before it crosses the machine's time, that.
type pace struct {
	from, at time.Time
	factor   int64
}

// shows is what the clock shows at a time of the machine.
func (p pace) shows(machine time.Time) time.Time {
	far := math.MaxInt64 / time.Duration(p.factor) // what a Duration holds
	fast := p.from.Add(min(max(machine.Sub(p.at), -far), far) * time.Duration(p.factor))
	if fast.Before(machine) {
		return machine
	}
	return fast
}

// reaches is the first time of the machine at which the clock shows t or more.
func (p pace) reaches(t time.Time) time.Time {
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

// IsMachine reports whether c tells the machine's time, as the stream's stamps do.
func IsMachine(c Clock) bool {
	_, is := c.(System)
	return is
}
