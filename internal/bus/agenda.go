package bus

import (
	"container/heap"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// agenda is what is known in memory of the timers that are set: their names, times and
// places in the stream, which has the rest. Of those that are due the parties come in
// turn, each with its gravest first, so that a thousand of one delay no other.
type agenda struct {
	share func(event.Stored) string // whose timer it is
	rank  func(event.Stored) int    // the greater, the sooner

	mu        sync.Mutex
	entries   map[string]*entry   // by subject on the wire
	under     map[string][]*entry // by subject without its last token
	waiting   byDue
	due       map[string]*party // with timers that are due
	turns     byTurn
	round     uint64              // in which the last timer was taken
	done      map[string][]uint64 // sequences to remove, by party
	hands     map[uint64]*entry   // taken and not finished, by sequence
	delivered uint64              // the stream is known up to here
	early     map[uint64]bool     // noted before they were delivered
	complete  bool                // all that was set at the start is known
	steps     *clock.Steps
	cancelled map[string]cancelled // by subject
	changed   chan struct{}        // has room for one
}

// maxEarly is from how many on it is looked which of them are not awaited any more.
const maxEarly = 20_000

// entry is a timer.
type entry struct {
	subject string
	seq     uint64
	due     int64 // nanoseconds, by the clock
	back    int64 // by how much earlier that is than its due time: see noteStep
	share   string
	rank    int
	at      int    // in waiting, or in its party's line
	in      *party // nil: not due yet, or taken
	gone    bool   // out of every line: taken or cancelled
}

// party is whose timers come in turn.
type party struct {
	line  byRank
	round uint64 // of its next turn
	at    int    // in turns
}

func newAgenda(c clock.Clock, share func(event.Stored) string, rank func(event.Stored) int) *agenda {
	if share == nil {
		share = func(event.Stored) string { return "" }
	}
	if rank == nil {
		rank = func(event.Stored) int { return 0 }
	}
	return &agenda{
		share: share, rank: rank, entries: map[string]*entry{}, under: map[string][]*entry{}, due: map[string]*party{},
		done: map[string][]uint64{}, hands: map[uint64]*entry{}, early: map[uint64]bool{}, changed: make(chan struct{}, 1),
		steps: clock.NewSteps(c), cancelled: map[string]cancelled{},
	}
}

// add notes a timer that is in the stream, as this process stored it or as it was
// delivered. One that takes the place of another of its subject makes that to be removed.
func (a *agenda) add(s event.Stored, delivered bool) {
	e := &entry{subject: s.Wire, seq: s.Sequence, due: s.Due.UnixNano(), share: a.share(s), rank: a.rank(s)}
	if s.Due.IsZero() {
		e.due = 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noteStep()
	switch {
	case !delivered && e.seq <= a.delivered:
		return
	case !delivered:
		a.early[e.seq] = true
	case a.early[e.seq]:
		delete(a.early, e.seq)
		return
	}
	back := a.backOf(e)
	if old := a.entries[e.subject]; old != nil {
		if old.seq >= e.seq {
			return
		}
		a.forget(old)
		a.done[old.share] = append(a.done[old.share], old.seq)
	}
	e.back = max(back, int64(a.steps.Ahead(s.Time)))
	e.due -= e.back
	a.entries[e.subject] = e
	parent := parentOf(e.subject)
	a.under[parent] = append(a.under[parent], e)
	heap.Push(&a.waiting, e)
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func parentOf(subject string) string { return subject[:strings.LastIndexByte(subject, '.')+1] }

// forget takes an entry out of everything but the hands.
func (a *agenda) forget(e *entry) {
	if a.entries[e.subject] == e {
		delete(a.entries, e.subject)
	}
	parent := parentOf(e.subject)
	if left := slices.DeleteFunc(a.under[parent], func(o *entry) bool { return o == e }); len(left) > 0 {
		a.under[parent] = left
	} else {
		delete(a.under, parent)
	}
	switch {
	case e.gone:
	case e.in == nil:
		heap.Remove(&a.waiting, e.at)
	default:
		heap.Remove(&e.in.line, e.at)
		if len(e.in.line) == 0 {
			heap.Remove(&a.turns, e.in.at)
			delete(a.due, e.share)
		} else {
			heap.Fix(&a.turns, e.in.at)
		}
	}
	e.gone = true
}

// cancel forgets the timers under a filter, and reports whether the stream may have
// some.
func (a *agenda) cancel(filter string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*entry
	switch parent, isParent := strings.CutSuffix(filter, "*"); {
	case isParent && !strings.ContainsAny(parent, "*>"):
		found = slices.Clone(a.under[parent])
	case strings.ContainsAny(filter, "*>"):
		for subject, e := range a.entries {
			if event.Matches(filter, subject) {
				found = append(found, e)
			}
		}
	case a.entries[filter] != nil:
		found = append(found, a.entries[filter])
	}
	for _, e := range found {
		a.forget(e)
		a.noteCancelled(e)
	}
	return len(found) > 0 || !a.complete
}

// take returns at most so many timers that are due at now, in turn.
func (a *agenda) take(now time.Time, most int) (taken []*entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) > 0 && a.waiting[0].due <= now.UnixNano() {
		e := heap.Pop(&a.waiting).(*entry)
		p := a.due[e.share]
		if p == nil {
			p = &party{round: a.round + 1}
			a.due[e.share] = p
		}
		e.in = p
		heap.Push(&p.line, e)
		if len(p.line) == 1 {
			heap.Push(&a.turns, p)
		} else {
			heap.Fix(&a.turns, p.at)
		}
	}
	for len(taken) < most && len(a.turns) > 0 {
		p := a.turns[0]
		e := heap.Pop(&p.line).(*entry)
		e.gone, a.round = true, p.round
		if p.round++; len(p.line) == 0 {
			heap.Pop(&a.turns)
			delete(a.due, e.share)
		} else {
			heap.Fix(&a.turns, 0)
		}
		a.hands[e.seq] = e
		taken = append(taken, e)
	}
	return taken
}

// next returns when the next timer is due that is not yet.
func (a *agenda) next() (due time.Time, has bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, a.waiting[0].due), true
}

// finish is the end of a timer that was taken; it is to be removed if the stream has
// it. It reports whether the timer was known to be set until then.
func (a *agenda) finish(seq uint64, remove bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.hands[seq]
	delete(a.hands, seq)
	if e == nil || a.entries[e.subject] != e { // it was cancelled, or another has taken its place
		return false
	}
	a.forget(e)
	if remove {
		a.done[e.share] = append(a.done[e.share], seq)
	}
	return true
}

// has reports whether a timer is set or in hand under a subject.
func (a *agenda) has(subject string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries[subject] != nil
}

// noteDelivered says how far the stream is known.
func (a *agenda) noteDelivered(seq uint64, complete bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivered, a.complete = max(a.delivered, seq), a.complete || complete
	if len(a.early) > maxEarly { // of what was cancelled before it was delivered
		maps.DeleteFunc(a.early, func(seq uint64, _ bool) bool { return seq <= a.delivered })
	}
}

// finished returns what is to be removed, by party, and below which sequence a party
// with much of it has nothing else.
func (a *agenda) finished(bulk int) (done map[string][]uint64, below map[string]uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	done, a.done = a.done, map[string][]uint64{}
	below = map[string]uint64{}
	for share, seqs := range done {
		if len(seqs) >= bulk {
			below[share] = a.delivered + 1
		}
	}
	if len(below) == 0 {
		return done, below
	}
	for _, e := range a.entries {
		if limit, much := below[e.share]; much && e.seq < limit {
			below[e.share] = e.seq
		}
	}
	return done, below
}

// again puts back what could not be removed.
func (a *agenda) again(share string, seqs []uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[share] = append(a.done[share], seqs...)
}
