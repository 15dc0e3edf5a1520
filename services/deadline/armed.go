package deadline

import (
	"sync"
	"time"
)

// armed remembers which timers recent incidents have, so that timers that were never set
// need not be cancelled, and a timer that the engine delivered while it was being
// cancelled is known to be void. It may forget: then more is cancelled than necessary,
// and a void moment is recorded, which the classifier finds to change nothing.
type armed struct {
	mu   sync.Mutex
	last map[string]setting // by incident, in tokens
}

type setting struct {
	look *time.Time // when to look again; nil: not set
	any  bool       // some timer is set
}

// maxArmed bounds how many incidents are remembered.
const maxArmed = 10_000

func newArmed() *armed { return &armed{last: map[string]setting{}} }

func (a *armed) note(incident string, s setting) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.last) >= maxArmed {
		clear(a.last)
	}
	a.last[incident] = s
}

// hasNoTimer reports whether the incident is known to have no timer.
func (a *armed) hasNoTimer(incident string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.last[incident]
	return known && !s.any
}

// isVoid reports whether the incident is known not to be due for another look at this
// moment.
func (a *armed) isVoid(incident string, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.last[incident]
	return known && (s.look == nil || !s.look.Equal(at))
}
