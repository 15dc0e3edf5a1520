package deadline

import (
	"sync"
	"time"
)

// knownTimers remembers which timers recent incidents have, so that timers that were never
// set need not be cancelled, and a timer that the engine delivered while it was being
// cancelled is ignored. It may forget: then more is cancelled than necessary, and a moment
// is recorded that the classifier finds to change nothing.
type knownTimers struct {
	mu   sync.Mutex
	last map[string]setting // by incident, in tokens
}

type setting struct {
	look *time.Time // when to look again; nil: not set
	any  bool       // some timer is set
}

// maxKnown bounds how many incidents are remembered.
const maxKnown = 10_000

func newKnownTimers() *knownTimers { return &knownTimers{last: map[string]setting{}} }

func (k *knownTimers) note(incident string, s setting) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.last) >= maxKnown {
		clear(k.last)
	}
	k.last[incident] = s
}

// hasNoTimer reports whether the incident is known to have no timer.
func (k *knownTimers) hasNoTimer(incident string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, known := k.last[incident]
	return known && !s.any
}

// isVoid reports whether the incident is known not to be due for another look at this
// moment.
func (k *knownTimers) isVoid(incident string, at time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, known := k.last[incident]
	return known && (s.look == nil || !s.look.Equal(at))
}
