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
