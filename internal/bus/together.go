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

// together runs the handler on a record that still waits to be written, so that the
// record and the handler's output go to disk in one atomic batch and a desk does not wait
// for two commits. It is an optimization and guarantees nothing: output that was not
// stored at the first try is left to the follower, which handles the record like any
// other and produces the same output.
type together struct {
	filters []string // as on the wire
	handler Handler
	mu      sync.Mutex
	// stored holds, by subject, the records with output behind them that the follower has
	// not reached: true once they are on disk.
	stored map[string]bool
}

// joinPause is how long a follower sets aside a record whose joined output is not yet
// known to be on disk.
const joinPause = time.Millisecond

// join computes the handler's output for p and queues it behind p.
func (b *Bus) join(ctx context.Context, p *pending) {
	b.together.Range(func(key, _ any) bool {
		t := key.(*together)
		if !matches(t.filters, b.cfg.Realm.Wire(p.record.Subject)) {
			return true
		}
		out, err := t.make(ctx, p.record.Unwritten(b.cfg.Realm))
		if err != nil || len(out) == 0 || slices.ContainsFunc(out, isElsewhere) {
			return true // left to the follower
		}
		for _, r := range out {
			p.behind = append(p.behind, &pending{record: r, answer: make(chan struct{}), ended: p.ended, follows: true})
		}
		p.by = t
		t.note(p.record.Subject, false)
		return false
	})
}

// isElsewhere reports whether a record cannot go into a batch of the ledger stream.
func isElsewhere(r event.Record) bool {
	return streamOf(r.Subject) != event.StreamLedger || strings.ContainsAny(r.Subject, noLiteral) || !r.Due.IsZero()
}

// make calls the handler and returns a panic as an error; the follower will log it.
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

// took reports whether all joined output of a record is on disk, or may be soon.
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

// alone drops the joined output from records and returns the records alone.
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

// left returns the open records, each with its joined output unless some of that is
// stored already.
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

// part drops the record's joined output.
func (p *pending) part() {
	if p.by != nil {
		p.by.forget(p.record.Subject)
		p.by, p.behind = nil, nil
	}
}
