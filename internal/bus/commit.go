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
	err      error       // why it was not stored
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
// ledger is frozen (Freeze); with Full when the disk has no room; and with ErrUnavailable
// when no answer came within defaultCommitWait: the outcome is then unknown, and the
// records may be stored later. A timer is a record like the others while it is set: once
// it has come due or was cancelled, its subject is free again.
func (b *Bus) Commit(ctx context.Context, records []event.Record) ([]Result, error) {
	if err := errors.Join(b.engineHasRoom(), b.roomFor(0)); err != nil {
		return nil, err
	}
	try, cancel := context.WithTimeout(ctx, b.commitWait)
	defer cancel()
	results, err := b.commit(try, records)
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("bus: commit: %w: no answer came within %v", ErrUnavailable, b.commitWait)
	}
	for _, r := range results {
		err = errors.Join(err, r.err)
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

// defaultCommitWait bounds Commit.
const defaultCommitWait = 10 * time.Second

// commit is Commit without a time limit, for followers. A record that cannot be stored
// has the error in its result.
func (b *Bus) commit(ctx context.Context, records []event.Record) ([]Result, error) {
	sent := make([]*pending, len(records))
	for i, r := range records {
		var err error
		if sent[i], err = b.queue(ctx, r); err != nil {
			return nil, err
		}
	}
	results := make([]Result, len(sent))
	for i, p := range sent {
		select {
		case <-p.answer:
		case <-p.ended:
			p.abandon()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		results[i] = p.result
	}
	return results, nil
}

// queue queues a record for the writer of its stream.
func (b *Bus) queue(ctx context.Context, r event.Record) (*pending, error) {
	p := &pending{record: r, answer: make(chan struct{})}
	stream := streamOf(r.Subject)
	if why := b.FreezeReason(); why != "" && stream == event.StreamLedger {
		return nil, Frozen(why)
	}
	w, ok := b.writers[stream]
	switch {
	case !ok, strings.ContainsAny(r.Subject, notLiteral):
		p.refuse(errors.New("no stream stores this subject"))
		return p, nil
	case isTimer(r) != (stream == event.StreamTimers), isTimer(r) == r.Due.IsZero():
		p.refuse(errors.New("every timer, and no other record, needs a due time"))
		return p, nil
	case len(r.Data) > event.MaxRecord: // it would fail the whole batch
		p.refuse(fmt.Errorf("it has %d bytes, and a record has at most %d", len(r.Data), event.MaxRecord))
		return p, nil
	}
	p.ended = w.done
	if r.Beside != nil {
		p.beside = &b.beside
		b.beside.add(p)
	}
	select {
	case w.queue <- p:
		return p, nil
	case <-w.done:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// IsRecord reports whether a message on a subject would be stored as a record.
func IsRecord(subject string) bool { return streamOf(subject) != "" }

// notLiteral are the characters that a record's subject must not contain: the engine
// would drop the record without an answer.
const notLiteral = "*> \t\r\n"

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

// pending is a record that waits to be stored. The writer owns result until it closes
// answer.
type pending struct {
	record  event.Record
	header  nats.Header // of the last try
	result  Result
	answer  chan struct{}
	settled bool            // of the writer: answer is closed
	ended   <-chan struct{} // closed when the writer has ended

	beside     *beside // notes what is written beside the record; nil: nothing is
	withBeside bool    // it was stored with what is beside it
}

// abandon settles a record that was queued as the writer ended. The caller has seen that
// it ended.
func (p *pending) abandon() {
	select {
	case <-p.answer:
	default:
		p.settle(Result{err: errClosed})
	}
}

func (p *pending) settle(r Result) {
	if p.beside != nil && !p.withBeside {
		p.beside.forget(p)
	}
	p.result, p.settled = r, true
	close(p.answer)
}

func (p *pending) refuse(err error) {
	p.settle(Result{err: fault.New(fault.Reject, "bus: commit", "%s: %w", p.record.Subject, err)})
}
