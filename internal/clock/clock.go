// Package clock is time as a dependency. Only this package and cmd read the
// machine's clock; everything else is handed a Clock or an instant, so that a
// scenario of six hours runs in a millisecond and says the same every time.
package clock

import (
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

// System is the machine's clock, in UTC.
type System struct{}

// Now returns the current time in UTC, without a monotonic reading, so that
// what is written down and read back compares equal.
func (System) Now() time.Time { return time.Now().UTC().Round(0) }

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

// Scaled tells the machine's time until it is started, and from then on runs
// factor times as fast. It is safe for use by several goroutines.
type Scaled struct {
	factor int64
	mu     sync.Mutex
	start  time.Time // zero before Start; keeps its monotonic reading
}

// NewScaled returns a clock that will run factor times as fast as the machine's;
// factor is at least 1.
func NewScaled(factor int) *Scaled { return &Scaled{factor: int64(max(1, factor))} }

// Start lets the clock run at its own speed from now on. A second call does
// nothing. What was asked of Wall before was the machine's time.
func (s *Scaled) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() {
		s.start = time.Now()
	}
}

// Now returns the clock's time in UTC, without a monotonic reading.
func (s *Scaled) Now() time.Time {
	start := s.started()
	if start.IsZero() {
		return System{}.Now()
	}
	return ahead(start, time.Since(start), s.factor)
}

func (s *Scaled) wall(t time.Time) time.Time {
	start := s.started()
	if start.IsZero() || !t.After(start) {
		return t
	}
	return behind(start, t.Sub(start.Round(0)), s.factor)
}

func (s *Scaled) started() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start
}

// ahead is what the clock shows when the machine has run for d since start.
func ahead(start time.Time, d time.Duration, factor int64) time.Time {
	return start.UTC().Round(0).Add(d * time.Duration(factor))
}

// behind is the first instant of the machine at which ahead is d after start.
func behind(start time.Time, d time.Duration, factor int64) time.Time {
	f := time.Duration(factor)
	return start.UTC().Round(0).Add((d + f - 1) / f)
}
