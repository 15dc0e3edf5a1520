package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// together makes what follows from a record while the record itself still waits to be
// written, so that both go to disk in one atomic batch, and a desk need not wait for
// the one and then for the other. It is a short cut and promises nothing: what could
// not be stored at the first try is left to the follower, which meets the record as
// it meets any other and makes the same of it.
type together struct {
	filters []string // as on the wire
	handler Handler
	mu      sync.Mutex
	// stored are, by subject, the records with more behind them that the follower has
	// not come to: true once they are on disk.
	stored map[string]bool
}

// joinPause is how long a follower that meets a record before it is known that what
// follows from it is on disk, too, leaves it aside.
const joinPause = time.Millisecond

// join makes what follows from p and puts it behind it.
func (b *Bus) join(ctx context.Context, p *pending) {
	b.together.Range(func(key, _ any) bool {
		t := key.(*together)
		if !matches(t.filters, b.cfg.Realm.Wire(p.record.Subject)) {
			return true
		}
		out, err := t.make(ctx, p.record.Unwritten(b.cfg.Realm))
		if err != nil || len(out) == 0 || slices.ContainsFunc(out, isElsewhere) {
			return true // the follower will meet the same
		}
		for _, r := range out {
			p.behind = append(p.behind, &pending{record: r, answer: make(chan struct{}), ended: p.ended, follows: true})
		}
		p.by = t
		t.note(p.record.Subject, false)
		return false
	})
}

// isElsewhere reports whether a record cannot go in a batch of the ledger's.
func isElsewhere(r event.Record) bool {
	return streamOf(r.Subject) != event.StreamLedger || strings.ContainsAny(r.Subject, noLiteral) || !r.Due.IsZero()
}

// make calls the handler; where it panics, the follower will say so.
func (t *together) make(ctx context.Context, in event.Stored) (out []event.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return t.handler.Handle(ctx, in)
}

func (t *together) note(subject string, stored bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored[subject] = stored
}

func (t *together) forget(subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stored, subject)
}

// took reports whether everything that follows from a record is on disk already,
// or may be in a moment.
func (t *together) took(subject string) (stored, soon bool) {
	if t == nil {
		return false, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	stored, known := t.stored[subject]
	if stored {
		delete(t.stored, subject)
	}
	return stored, known && !stored
}

// alone takes from records what was to go with them, and returns them without it.
func alone(round []*pending) []*pending {
	var out []*pending
	for _, p := range round {
		if p.follows {
			continue
		}
		p.part()
		out = append(out, p)
	}
	return out
}

// left are the records that are open still, each with what goes with it, unless some
// of that stands already.
func left(round []*pending, open map[string]*pending) []*pending {
	var out []*pending
	isOpen := func(p *pending) bool { return open[p.record.Subject] == p }
	for _, p := range round {
		if p.follows {
			continue
		}
		if !isOpen(p) || slices.ContainsFunc(p.behind, func(q *pending) bool { return !isOpen(q) }) {
			p.part()
		}
		if isOpen(p) {
			out = append(append(out, p), p.behind...)
		}
	}
	return out
}

// part takes from a record what was to go with it.
func (p *pending) part() {
	if p.by != nil {
		p.by.forget(p.record.Subject)
		p.by, p.behind = nil, nil
	}
}
