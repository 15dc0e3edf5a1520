package clock

import "time"

// minStep is by how much a clock must have been set to count as set: NTP slews by at
// most half a millisecond a second, which is time as it passes.
const minStep = time.Second

// Passed returns the time that has passed since the machine was started, by a counter
// that nobody can set and that runs also while the machine sleeps.
func (System) Passed() time.Duration { return passed() }

// Steps finds out that a clock was set, by a counter of the time that has passed. A
// clock without one, which a test moves, is never set.
type Steps struct {
	clock  Clock
	passed func() time.Duration // nil: the clock has no counter
	last   time.Time
	at     time.Duration
}

// NewSteps returns Steps of a clock from now on.
func NewSteps(c Clock) *Steps {
	s := &Steps{clock: c}
	if p, ok := c.(interface{ Passed() time.Duration }); ok {
		s.passed = p.Passed
		s.last, s.at = c.Now(), s.passed()
	}
	return s
}

// Look returns by how much the clock was set since the last look: a negative step set it
// back.
func (s *Steps) Look() (step time.Duration) {
	if s.passed == nil {
		return 0
	}
	now, at := s.clock.Now(), s.passed()
	if d := now.Sub(s.last) - (at - s.at); d.Abs() >= minStep {
		step = d
	}
	s.last, s.at = now, at
	return step
}

// Ahead returns by how much a stamp of the clock is ahead of it, where the clock must have
// been set back since; otherwise 0.
func (s *Steps) Ahead(stamp time.Time) time.Duration {
	if s.passed == nil {
		return 0
	}
	if d := stamp.Sub(s.clock.Now()); d >= minStep {
		return d
	}
	return 0
}
