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

// Result is what became of one committed record.
type Result struct {
	Sequence uint64 // in its stream
	// Existing is the record that held the subject before; nil when ours was
	// stored, now or by an earlier try whose answer was lost.
	Existing *event.Stored
	header   nats.Header // with which ours was stored
}

// Entry is the hash under which the log has what stands under a record's subject.
func (b *Bus) Entry(r event.Record, res Result) evidence.Hash {
	if res.Existing != nil {
		return res.Existing.Entry()
	}
	return evidence.EntryHash(res.Sequence, b.cfg.Realm.Wire(r.Subject), res.header, r.Data)
}

// Commit stores records, each at most once, and returns when all of them are on
// disk or stood there before: one result a record, in order. Records of
// concurrent callers that wait at the same moment go out in one atomic batch.
// It ends with an error when ctx or the bus does, when the engine refuses a record for
// good (kind Reject), with Closed when nothing may be written to the ledger (Hold),
// with Full when the disk has no room, and
// with ErrUnavailable when nothing came back for commitWait: the outcome is unknown then,
// and the records may be stored later. A timer is
// a record like the others while it is set: once it has come due or was cancelled, its
// subject is free again.
func (b *Bus) Commit(ctx context.Context, records []event.Record) ([]Result, error) {
	sent, err := b.Send(ctx, records)
	if err != nil {
		return nil, err
	}
	return sent.Wait(ctx)
}

// commitWait bounds how long a caller of Commit waits for a place in the queue of a
// stream, and again for the disk.
const commitWait = 10 * time.Second

// bounded calls a half of Commit, which must come back in commitWait.
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

// Likely is what Wait will return of records of the ledger, if nobody else writes to it at
// this moment and the subjects are free; false where that cannot be told, because others
// are being written, or another process writes, too. What somebody works out of it while
// the disk is waited for is worth nothing before Wait has said the same.
func (s *Sent) Likely() (results []Result, known bool) {
	if len(s.likely) == 0 || len(s.likely) != len(s.records) {
		return nil, false
	}
	for i, seq := range s.likely {
		results = append(results, Result{Sequence: seq, header: s.records[i].record.Message(s.realm).Header})
	}
	return results, true
}

// Send is the first half of Commit: the records are in the line of their streams.
func (b *Bus) Send(ctx context.Context, records []event.Record) (*Sent, error) {
	if err := errors.Join(b.engineHasRoom(), b.roomFor(0)); err != nil {
		return nil, err
	}
	return bounded(ctx, func(ctx context.Context) (*Sent, error) { return b.send(ctx, records) })
}

// send is Send for a follower, which waits for as long as it takes.
func (b *Bus) send(ctx context.Context, records []event.Record) (*Sent, error) {
	sent := &Sent{realm: b.cfg.Realm, records: make([]*pending, len(records))}
	next := b.writers[event.StreamLedger].likely()
	for i, r := range records {
		stream := streamOf(r.Subject)
		if why := b.Held(); why != "" && stream == event.StreamLedger {
			return nil, Closed(why)
		}
		w, ok := b.writers[stream]
		if !ok || strings.ContainsAny(r.Subject, noLiteral) {
			return nil, fault.New(fault.Reject, "bus: commit", "no stream holds %q", r.Subject)
		}
		if isTimer(r) != (stream == event.StreamTimers) || isTimer(r) == r.Due.IsZero() {
			return nil, fault.New(fault.Reject, "bus: commit", "%q: a timer, and nothing else, has a time when it is due", r.Subject)
		}
		p := &pending{record: r, answer: make(chan struct{}), ended: w.done}
		if len(r.Data) > event.MaxRecord { // it would spoil the batch of the others
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

// Wait is the second half.
func (s *Sent) Wait(ctx context.Context) ([]Result, error) { return bounded(ctx, s.wait) }

// wait is Wait for a follower, which waits for as long as it takes.
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

// noLiteral are what no subject of a record holds: the engine would drop the
// record without an answer.
const noLiteral = "*> \t\r\n"

var errClosed = errors.New("bus: closed")

// streamOf returns the stream that holds a subject, or "". A subject with an
// empty token would be dropped by the engine without an answer and waited for
// for ever.
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
	// behind are records that go in the same batch, or not at all, for by; they follow.
	behind  []*pending
	by      *together
	follows bool
}

// abandon settles a record that came into the queue as the writer ended. The
// caller has seen that it did.
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
