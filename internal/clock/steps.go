package clock

import "time"

// minStep is the least difference that counts as setting the clock: NTP slews by at most
// half a millisecond a second, which is not a step.
const minStep = time.Second

// Passed returns the time since the machine was started, by a counter that nobody can set
// and that includes sleep.
func (System) Passed() time.Duration { return passed() }

// Steps detects that a clock was set, by comparison with a counter of elapsed time. A
// clock without one, such as one that a test moves, never counts as set.
type Steps struct {
	clock  Clock
	passed func() time.Duration // nil: the clock has no counter
	last   time.Time
	at     time.Duration
}

// NewSteps starts watching a clock.
func NewSteps(c Clock) *Steps {
	s := &Steps{clock: c}
	if p, ok := c.(interface{ Passed() time.Duration }); ok {
		s.passed = p.Passed
		s.last, s.at = c.Now(), s.passed()
	}
	return s
}

// Check returns by how much the clock was set since the last call: negative if it was set
// back.
func (s *Steps) Check() (step time.Duration) {
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

// Ahead returns by how much a timestamp of the clock is ahead of it, which means that the
// clock was set back since; otherwise 0.
func (s *Steps) Ahead(stamp time.Time) time.Duration {
	if s.passed == nil {
		return 0
	}
	if d := stamp.Sub(s.clock.Now()); d >= minStep {
		return d
	}
	return 0
}
