package bus

import (
	"container/heap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// A due time is a moment of the clock, and a clock that is set must not put it off: what
// was set before the clock was set back comes after as much time as it would have. So it
// comes by as much earlier by the clock, which is noted in back. Where the clock is set
// forward again, that is undone.

// noteStep moves what waits where the clock was set since it was last called. The caller
// holds mu.
func (a *agenda) noteStep() {
	step := int64(a.steps.Look())
	switch {
	case step < 0:
		for _, e := range a.waiting { // their order stays
			e.due, e.back = e.due+step, e.back-step
		}
	case step > 0:
		for _, e := range a.waiting {
			undone := min(e.back, step)
			e.due, e.back = e.due+undone, e.back-undone
		}
		heap.Init(&a.waiting)
	}
	for subject, was := range a.cancelled {
		if was.back = max(0, was.back-step); was.back == 0 {
			delete(a.cancelled, subject)
			continue
		}
		a.cancelled[subject] = was
	}
}

// takeDue is take at the time of a clock, which is read after it is known whether it was
// set back.
func (a *agenda) takeDue(c clock.Clock, most int) []*entry {
	a.mu.Lock()
	a.noteStep()
	a.mu.Unlock()
	return a.take(c.Now(), most)
}

// maxCancelled bounds the timers that are remembered as cancelled.
const maxCancelled = 20_000

// cancelled is a timer that was set before the clock was set back: one that is set again
// for the same moment comes when it would have.
type cancelled struct{ due, back int64 }

// noteCancelled remembers a timer that was cancelled, where the clock was set back since
// it was set. The caller holds mu.
func (a *agenda) noteCancelled(e *entry) {
	if e.back == 0 {
		return
	}
	if len(a.cancelled) >= maxCancelled {
		clear(a.cancelled)
	}
	a.cancelled[e.subject] = cancelled{e.due + e.back, e.back}
}

// backOf returns by how much earlier by the clock a timer comes than its due time: as much
// as the one whose place it takes, or the one that was cancelled. The caller holds mu.
func (a *agenda) backOf(e *entry) int64 {
	back := int64(0)
	if was, is := a.cancelled[e.subject]; is && was.due == e.due {
		back = was.back
	}
	delete(a.cancelled, e.subject)
	if old := a.entries[e.subject]; old != nil {
		back = old.back
	}
	return back
}
