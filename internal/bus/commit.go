package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Result is the outcome of committing one record.
type Result struct {
	Sequence uint64 // in its stream
	// Existing is the record that held the subject before; nil if ours was stored, now or
	// by an earlier try whose answer was lost.
	Existing *event.Stored
	header   nats.Header // of our record as stored
}

// Entry returns the log's entry hash of the record stored under r's subject.
func (b *Bus) Entry(r event.Record, res Result) evidence.Hash {
	if res.Existing != nil {
		return res.Existing.Entry()
	}
	return evidence.EntryHash(res.Sequence, b.cfg.Realm.Wire(r.Subject), res.header, r.Data)
}

// Commit stores records, each at most once, and returns when all of them are on disk or
// were stored before: one result per record, in order. Records of concurrent callers are
// sent together, in one atomic batch where that pays. It fails when ctx or the bus ends;
// with kind Reject when the engine refuses a record permanently; with Frozen when the
// ledger is frozen (Hold); with Full when the disk has no room; and with ErrUnavailable
// when no answer came within commitWait: the outcome is then unknown, and the records may
// be stored later. A timer is a record like the others while it is set: once it has come
// due or was cancelled, its subject is free again.
func (b *Bus) Commit(ctx context.Context, records []event.Record) ([]Result, error) {
	if err := errors.Join(b.engineHasRoom(), b.roomFor(0)); err != nil {
		return nil, err
	}
	try, cancel := context.WithTimeout(ctx, commitWait)
	defer cancel()
	results, err := b.commit(try, records)
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("bus: commit: %w: no answer came within %v", ErrUnavailable, commitWait)
	}
	return results, err
}

// commitWait bounds Commit.
const commitWait = 10 * time.Second

// commit is Commit without a time limit, for followers.
func (b *Bus) commit(ctx context.Context, records []event.Record) ([]Result, error) {
	sent, err := b.queue(ctx, records)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(sent))
	var failed error
	for i, p := range sent {
		select {
		case <-p.answer:
		case <-p.ended:
			p.abandon()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		results[i] = p.result
		failed = errors.Join(failed, p.err)
	}
	if failed != nil {
		return nil, failed
	}
	return results, nil
}

// queue queues the records for the writers of their streams.
func (b *Bus) queue(ctx context.Context, records []event.Record) ([]*pending, error) {
	sent := make([]*pending, len(records))
	for i, r := range records {
		stream := streamOf(r.Subject)
		if why := b.Held(); why != "" && stream == event.StreamLedger {
			return nil, Frozen(why)
		}
		w, ok := b.writers[stream]
		if !ok || strings.ContainsAny(r.Subject, noLiteral) {
			return nil, fault.New(fault.Reject, "bus: commit", "no stream holds %q", r.Subject)
		}
		if isTimer(r) != (stream == event.StreamTimers) || isTimer(r) == r.Due.IsZero() {
			return nil, fault.New(fault.Reject, "bus: commit", "%q: a timer, and nothing else, has a time when it is due", r.Subject)
		}
		p := &pending{record: r, answer: make(chan struct{}), ended: w.done}
		sent[i] = p
		if len(r.Data) > event.MaxRecord { // it would fail the whole batch
			p.refuse(fmt.Errorf("it has %d bytes, and a record has at most %d", len(r.Data), event.MaxRecord))
			continue
		}
		if w.inMemory.Load() {
			b.join(ctx, p)
		}
		select {
		case w.queue <- p:
		case <-w.done:
			p.part()
			return nil, errClosed
		case <-ctx.Done():
			p.part()
			return nil, ctx.Err()
		}
	}
	return sent, nil
}

// IsRecord reports whether a message on a subject would be stored as a record.
func IsRecord(subject string) bool { return streamOf(subject) != "" }

// noLiteral are the characters that a record's subject must not contain: the engine would
// drop the record without an answer.
const noLiteral = "*> \t\r\n"

var errClosed = errors.New("bus: closed")

// streamOf returns the stream that holds a subject, or "", also for a subject with an
// empty token: the engine would drop the record without an answer, and the writer would
// wait indefinitely.
func streamOf(subject string) string {
	switch {
	case strings.HasSuffix(subject, "."), strings.Contains(subject, ".."):
		return ""
	case strings.HasPrefix(subject, "incident."), strings.HasPrefix(subject, "rules."):
		return event.StreamLedger
	case strings.HasPrefix(subject, "rejected."):
		return event.StreamRejected
	case strings.HasPrefix(subject, "timer."):
		return event.StreamTimers
	}
	return ""
}

// pending is a record that waits to be stored. The writer owns result and err
// until it closes answer.
type pending struct {
	record event.Record
	header nats.Header // of the last try
	result Result
	err    error
	answer chan struct{}
	ended  <-chan struct{} // closed when the writer has ended
	// behind are records that go in the same batch or not at all; by made them, and their
	// follows is true.
	behind  []*pending
	by      *together
	follows bool
}

// abandon settles a record that was queued as the writer ended. The caller has seen that
// it ended.
func (p *pending) abandon() {
	select {
	case <-p.answer:
	default:
		p.err = errClosed
	}
}

func (p *pending) settle(r Result, err error) {
	p.result, p.err = r, err
	close(p.answer)
}

func (p *pending) refuse(err error) {
	p.settle(Result{}, fault.New(fault.Reject, "bus: commit", "%s: %w", p.record.Subject, err))
}
