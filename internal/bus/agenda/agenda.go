// Package agenda decides which of the timers that are set comes next: among due timers
// the parties take turns, each with its gravest timer first, and setting the clock back
// postpones none. It is kept in memory; package bus fills it from the timers' stream and
// delivers what it returns. It is safe for use by several goroutines.
package agenda

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

// Agenda indexes in memory the timers that are set: their names, times and sequences; the
// stream holds the rest. Among due timers the parties take turns, each with its gravest
// timer first, so that a thousand timers of one party delay no other.
type Agenda struct {
	share func(event.Stored) string // party of a timer
	rank  func(event.Stored) int    // higher comes first

	mu        sync.Mutex
	entries   map[string]*Entry   // by subject on the wire
	under     map[string][]*Entry // by subject without its last token
	waiting   byDue
	due       map[string]*party // with timers that are due
	turns     byTurn
	round     uint64              // round of the last timer taken
	done      map[string][]uint64 // sequences to remove, by party
	taken     map[uint64]*Entry   // taken and not finished, by sequence
	delivered uint64              // the stream has been read up to here
	early     map[uint64]bool     // added before they were delivered
	complete  bool                // all timers set at the start have been read
	steps     *clock.Steps
	cancelled map[string]cancelled // by subject
	changed   chan struct{}        // buffered for one signal
}

// maxEarly is the size of early above which entries that will not be delivered any more
// are dropped.
const maxEarly = 20_000

// Entry is a timer.
type Entry struct {
	Subject string // on the wire
	Seq     uint64
	due     int64 // nanoseconds by the clock
	earlier int64 // by how much that is before its due time: see noteStep
	share   string
	rank    int
	at      int    // index in waiting or in its party's line
	in      *party // nil: not due yet, or taken
	gone    bool   // in no line: taken or cancelled
}

// party holds the due timers of one party.
type party struct {
	line  byRank
	round uint64 // round of its next turn
	at    int    // index in turns
}

// New returns an empty agenda. A nil share counts all timers as one party's; a nil rank
// orders them by their times.
func New(c clock.Clock, share func(event.Stored) string, rank func(event.Stored) int) *Agenda {
	if share == nil {
		share = func(event.Stored) string { return "" }
	}
	if rank == nil {
		rank = func(event.Stored) int { return 0 }
	}
	return &Agenda{
		share: share, rank: rank, entries: map[string]*Entry{}, under: map[string][]*Entry{}, due: map[string]*party{},
		done: map[string][]uint64{}, taken: map[uint64]*Entry{}, early: map[uint64]bool{}, changed: make(chan struct{}, 1),
		steps: clock.NewSteps(c), cancelled: map[string]cancelled{},
	}
}

// Add adds a timer that is in the stream, either stored by this process or delivered. If
// it replaces another of its subject, the old one is marked for removal.
func (a *Agenda) Add(s event.Stored, delivered bool) {
	e := &Entry{Subject: s.Wire, Seq: s.Sequence, due: s.Due.UnixNano(), share: a.share(s), rank: a.rank(s)}
	if s.Due.IsZero() {
		e.due = 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noteStep()
	switch {
	case !delivered && e.Seq <= a.delivered:
		return
	case !delivered:
		a.early[e.Seq] = true
	case a.early[e.Seq]:
		delete(a.early, e.Seq)
		return
	}
	earlier := a.earlierBy(e)
	if old := a.entries[e.Subject]; old != nil {
		if old.Seq >= e.Seq {
			return
		}
		a.forget(old)
		a.done[old.share] = append(a.done[old.share], old.Seq)
	}
	e.earlier = max(earlier, int64(a.steps.Ahead(s.Time)))
	e.due -= e.earlier
	a.entries[e.Subject] = e
	parent := parentOf(e.Subject)
	a.under[parent] = append(a.under[parent], e)
	heap.Push(&a.waiting, e)
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func parentOf(subject string) string { return subject[:strings.LastIndexByte(subject, '.')+1] }

// forget removes an entry from everything but taken.
func (a *Agenda) forget(e *Entry) {
	if a.entries[e.Subject] == e {
		delete(a.entries, e.Subject)
	}
	parent := parentOf(e.Subject)
	if left := slices.DeleteFunc(a.under[parent], func(o *Entry) bool { return o == e }); len(left) > 0 {
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

// Cancel forgets the timers that match a filter, and reports whether the stream may have
// some.
func (a *Agenda) Cancel(filter string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*Entry
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

// take returns at most so many timers that are due at now, the parties in turn.
func (a *Agenda) take(now time.Time, most int) (taken []*Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) > 0 && a.waiting[0].due <= now.UnixNano() {
		e := heap.Pop(&a.waiting).(*Entry)
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
		e := heap.Pop(&p.line).(*Entry)
		e.gone, a.round = true, p.round
		if p.round++; len(p.line) == 0 {
			heap.Pop(&a.turns)
			delete(a.due, e.share)
		} else {
			heap.Fix(&a.turns, 0)
		}
		a.taken[e.Seq] = e
		taken = append(taken, e)
	}
	return taken
}

// Next returns the due time of the next timer that is not due yet.
func (a *Agenda) Next() (due time.Time, has bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, a.waiting[0].due), true
}

// Finish ends a timer that was taken; with remove it is marked for removal from the
// stream. It reports whether the timer was still set.
func (a *Agenda) Finish(seq uint64, remove bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.taken[seq]
	delete(a.taken, seq)
	if e == nil || a.entries[e.Subject] != e { // cancelled or replaced
		return false
	}
	a.forget(e)
	if remove {
		a.done[e.share] = append(a.done[e.share], seq)
	}
	return true
}

// Has reports whether a timer with a subject is set or taken.
func (a *Agenda) Has(subject string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries[subject] != nil
}

// NoteDelivered records how far the stream has been read.
func (a *Agenda) NoteDelivered(seq uint64, complete bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivered, a.complete = max(a.delivered, seq), a.complete || complete
	if len(a.early) > maxEarly { // cancelled before they were delivered
		maps.DeleteFunc(a.early, func(seq uint64, _ bool) bool { return seq <= a.delivered })
	}
}

// Finished returns the sequences to remove, by party, and for each party with at least
// bulk of them the sequence below which it has no other timers.
func (a *Agenda) Finished(bulk int) (done map[string][]uint64, below map[string]uint64) {
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
		if limit, much := below[e.share]; much && e.Seq < limit {
			below[e.share] = e.Seq
		}
	}
	return done, below
}

// PutBack puts back sequences that could not be removed.
func (a *Agenda) PutBack(share string, seqs []uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[share] = append(a.done[share], seqs...)
}

// Changed returns a channel that gets a signal when a timer was added.
func (a *Agenda) Changed() <-chan struct{} { return a.changed }

// IsComplete reports whether all timers set at the start have been read.
func (a *Agenda) IsComplete() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.complete
}
