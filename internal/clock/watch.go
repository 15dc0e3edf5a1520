package clock

import (
	"fmt"
	"sync"
	"time"
)

// doubtFor is how long the time that a clock tells is doubted after it was set: until
// then a person may have looked which of the two times is right.
const doubtFor = time.Hour

// Watch finds out that the machine's clock was set or drifts away: it compares what the
// clock says with the time that has passed, by a counter that nobody can set. It also
// sees a clock that is behind the stamps of the record. It is safe for use by several
// goroutines.
type Watch struct {
	wall      func() time.Time
	passed    func() time.Duration // since some moment; it runs also while the machine sleeps
	tolerance time.Duration

	mu       sync.Mutex
	base     time.Time     // what the clock said
	at       time.Duration // when so much had passed
	earlier  time.Duration // by how much the clock was set before base
	now      time.Duration // by how much it differs since
	steps    uint64
	last     time.Duration // the last step
	lastAt   time.Time     // what the clock said after it
	doubtEnd time.Duration // of passed
	latest   time.Time     // the clock has said this, or the record has it
}

// NewWatch returns a watch over the machine's clock, which may differ by so much.
func NewWatch(tolerance time.Duration) *Watch {
	return NewWatchOf(System{}.Now, passed, tolerance)
}

// NewWatchOf returns a watch over a clock, with a counter of the time that has passed.
func NewWatchOf(wall func() time.Time, passed func() time.Duration, tolerance time.Duration) *Watch {
	return &Watch{wall: wall, passed: passed, tolerance: tolerance, base: wall(), at: passed()}
}

// Behind says that something was stamped with a time. A clock that is behind it was
// wrong then or is wrong now.
func (w *Watch) Behind(stamp time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stamp.After(w.latest) {
		w.latest = stamp
	}
}

// ClockState is what a watch has seen.
type ClockState struct {
	Steps  uint64        // how often the clock was set, or had drifted away, beyond the tolerance
	Last   time.Duration // by how much, the last time; negative: it was set back
	LastAt time.Time     // what it said then
	Offset time.Duration // by how much the clock has gone ahead of the time that has passed since the start
	Doubt  string        // why its time is not to be relied on at the moment; empty: it is
}

// Look compares the clock with the time that has passed.
func (w *Watch) Look() ClockState {
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
	s := ClockState{Steps: w.steps, Last: w.last, LastAt: w.lastAt, Offset: w.earlier + w.now}
	switch behind := w.latest.Sub(wall); {
	case behind > w.tolerance:
		s.Doubt = fmt.Sprintf("the machine's clock is %s behind a time that it has told before", behind.Round(time.Millisecond))
	case w.steps > 0 && passed < w.doubtEnd:
		s.Doubt = fmt.Sprintf("the machine's clock was set by %s, or had drifted by it, at %s", w.last.Round(time.Millisecond), w.lastAt.Format(time.RFC3339))
	}
	return s
}
