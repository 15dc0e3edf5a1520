package clock

import (
	"fmt"
	"sync"
	"time"
)

// doubtFor is how long the clock is doubted after it was set: by then a person may have
// checked which of the two times is right.
const doubtFor = time.Hour

// Watch detects that the machine's clock was set or drifts: it compares the clock with
// elapsed time, by a counter that nobody can set. It also detects a clock that is behind
// the timestamps of records. It is safe for use by several goroutines.
type Watch struct {
	wall      func() time.Time
	passed    func() time.Duration // from any start; includes sleep
	tolerance time.Duration

	mu       sync.Mutex
	base     time.Time     // reference reading of the clock
	at       time.Duration // elapsed time at base
	earlier  time.Duration // sum of the steps before base
	now      time.Duration // difference since base
	steps    uint64
	last     time.Duration // the last step
	lastAt   time.Time     // what the clock showed after it
	doubtEnd time.Duration // in elapsed time
	latest   time.Time     // the latest time shown by the clock or stamped on a record
}

// NewWatch returns a watch over the machine's clock with a tolerance.
func NewWatch(tolerance time.Duration) *Watch {
	return NewWatchOf(System{}.Now, passed, tolerance)
}

// NewWatchOf returns a watch over a clock, with a counter of elapsed time.
func NewWatchOf(wall func() time.Time, passed func() time.Duration, tolerance time.Duration) *Watch {
	return &Watch{wall: wall, passed: passed, tolerance: tolerance, base: wall(), at: passed()}
}

// Observe adds a timestamp of a record. A clock that is behind it was wrong then or is
// wrong now.
func (w *Watch) Observe(stamp time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stamp.After(w.latest) {
		w.latest = stamp
	}
}

// State is what a watch has seen.
type State struct {
	Steps  uint64        // how often the clock was set or had drifted beyond the tolerance
	Last   time.Duration // size of the last step; negative: it was set back
	LastAt time.Time     // what the clock showed after it
	Offset time.Duration // how far the clock has gained on elapsed time since the start
	Doubt  string        // why its time is not reliable now; empty: it is
}

// Check compares the clock with elapsed time.
func (w *Watch) Check() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	wall, passed := w.wall(), w.passed()
	expected := w.base.Add(passed - w.at)
	w.now = wall.Sub(expected)
	if w.now.Abs() > w.tolerance {
		w.steps++
		w.last, w.lastAt, w.doubtEnd = w.now, wall, passed+doubtFor
		if expected.After(w.latest) && w.now < 0 {
			w.latest = expected
		}
		w.earlier += w.now
		w.base, w.at, w.now = wall, passed, 0
	}
	s := State{Steps: w.steps, Last: w.last, LastAt: w.lastAt, Offset: w.earlier + w.now}
	switch behind := w.latest.Sub(wall); {
	case behind > w.tolerance:
		s.Doubt = fmt.Sprintf("the machine's clock is %s behind a time that it has told before", behind.Round(time.Millisecond))
	case w.steps > 0 && passed < w.doubtEnd:
		s.Doubt = fmt.Sprintf("the machine's clock was set by %s, or had drifted by it, at %s", w.last.Round(time.Millisecond), w.lastAt.Format(time.RFC3339))
	}
	return s
}
