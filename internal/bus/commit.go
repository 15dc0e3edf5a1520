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
	sent, err := b.Send(ctx, records)
	if err != nil {
		return nil, err
	}
	return sent.Wait(ctx)
}

// commitWait bounds how long Commit waits for a place in a stream's queue, and again for
// the disk.
const commitWait = 10 * time.Second

// bounded runs one half of Commit within commitWait.
func bounded[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	try, cancel := context.WithTimeout(ctx, commitWait)
	defer cancel()
	out, err := call(try)
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return out, fmt.Errorf("bus: commit: %w: no record came back within %v", ErrUnavailable, commitWait)
	}
	return out, err
}

// Sent are records on their way to the disk.
type Sent struct {
	realm   event.Realm
	records []*pending
	likely  []uint64 // sequences
}

// Likely predicts the results of Wait for ledger records, assuming that nobody else
// writes now and that the subjects are free. known is false if that cannot be predicted,
// because records are being written or another process writes. Work based on the
// prediction must be discarded unless Wait returns the same.
func (s *Sent) Likely() (results []Result, known bool) {
	if len(s.likely) == 0 || len(s.likely) != len(s.records) {
		return nil, false
	}
	for i, seq := range s.likely {
		results = append(results, Result{Sequence: seq, header: s.records[i].record.Message(s.realm).Header})
	}
	return results, true
}

// Send is the first half of Commit: it queues the records for their streams.
func (b *Bus) Send(ctx context.Context, records []event.Record) (*Sent, error) {
	if err := errors.Join(b.engineHasRoom(), b.roomFor(0)); err != nil {
		return nil, err
	}
	return bounded(ctx, func(ctx context.Context) (*Sent, error) { return b.send(ctx, records) })
}

// send is Send without a time limit, for followers.
func (b *Bus) send(ctx context.Context, records []event.Record) (*Sent, error) {
	sent := &Sent{realm: b.cfg.Realm, records: make([]*pending, len(records))}
	next := b.writers[event.StreamLedger].likely()
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
		if len(r.Data) > event.MaxRecord { // it would fail the whole batch
			p.refuse(fmt.Errorf("it has %d bytes, and a record has at most %d", len(r.Data), event.MaxRecord))
			sent.records[i] = p
			continue
		}
		if w.inMemory.Load() {
			b.join(ctx, p)
		}
		if next > 0 && stream == event.StreamLedger {
			sent.likely = append(sent.likely, next)
			next += 1 + uint64(len(p.behind))
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
		sent.records[i] = p
	}
	return sent, nil
}

// Wait is the second half of Commit.
func (s *Sent) Wait(ctx context.Context) ([]Result, error) { return bounded(ctx, s.wait) }

// wait is Wait without a time limit, for followers.
func (s *Sent) wait(ctx context.Context) ([]Result, error) {
	results := make([]Result, len(s.records))
	var failed error
	for i, p := range s.records {
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
