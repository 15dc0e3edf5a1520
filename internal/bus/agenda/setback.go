package agenda

import (
	"container/heap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// A due time is a time of the clock, and setting the clock back must not postpone it: a
// timer set before the clock was set back fires after as much elapsed time as it would
// have. So it fires earlier by the clock, by Entry.earlier. Setting the clock forward
// again undoes that.

// noteStep adjusts the waiting timers if the clock was set since the last call. The
// caller holds mu.
func (a *Agenda) noteStep() {
	step := int64(a.steps.Check())
	switch {
	case step < 0:
		for _, e := range a.waiting { // their order stays
			e.due, e.earlier = e.due+step, e.earlier-step
		}
	case step > 0:
		for _, e := range a.waiting {
			undone := min(e.earlier, step)
			e.due, e.earlier = e.due+undone, e.earlier-undone
		}
		heap.Init(&a.waiting)
	}
	for subject, was := range a.cancelled {
		if was.earlier = max(0, was.earlier-step); was.earlier == 0 {
			delete(a.cancelled, subject)
			continue
		}
		a.cancelled[subject] = was
	}
}

// TakeDue is take at the current time of a clock, read after checking whether the clock
// was set back.
func (a *Agenda) TakeDue(c clock.Clock, most int) []*Entry {
	a.mu.Lock()
	a.noteStep()
	a.mu.Unlock()
	return a.take(c.Now(), most)
}

// maxCancelled bounds the timers remembered as cancelled.
const maxCancelled = 20_000

// cancelled is a cancelled timer that was set before the clock was set back: if it is set
// again for the same time, it fires when the old one would have.
type cancelled struct{ due, earlier int64 }

// noteCancelled remembers a cancelled timer if the clock was set back since it was set.
// The caller holds mu.
func (a *Agenda) noteCancelled(e *Entry) {
	if e.earlier == 0 {
		return
	}
	if len(a.cancelled) >= maxCancelled {
		clear(a.cancelled)
	}
	a.cancelled[e.Subject] = cancelled{e.due + e.earlier, e.earlier}
}

// earlierBy returns how much earlier than its due time a timer fires by the clock: as much
// as the timer that it replaces, or as the cancelled one. The caller holds mu.
func (a *Agenda) earlierBy(e *Entry) int64 {
	earlier := int64(0)
	if was, is := a.cancelled[e.Subject]; is && was.due == e.due {
		earlier = was.earlier
	}
	delete(a.cancelled, e.Subject)
	if old := a.entries[e.Subject]; old != nil {
		earlier = old.earlier
	}
	return earlier
}
