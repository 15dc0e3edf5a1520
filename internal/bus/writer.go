package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus/agenda"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Bounds of one atomic batch, and of the queue. The engine takes at most 1000 records a
// batch; below batchFrom records a batch costs more than it saves (on disk a batch has
// 2–3 ms of fixed cost, a single record 0.25 ms).
const (
	batchRecords = 1000
	batchBytes   = 16 << 20
	batchFrom    = 20
	// batchFromMemory is batchFrom for batches staged in memory (internal/natsd/staging.go).
	batchFromMemory = 2
	queueLength     = 16 << 10
	// tryTimeout is how long one try to store records waits for its answer before they
	// are sent again: their subjects make that safe, and a slow disk answers the last try
	// together with the first.
	tryTimeout = 1500 * time.Millisecond
	maxPause   = time.Second // between tries that fail
	logEvery   = 10          // failed tries per log line
)

// writer is the only goroutine of this process that writes to a stream. It uses no timer:
// records that wait while a commit is in flight go together in the next one.
type writer struct {
	js     jetstream.JetStream
	stream string
	realm  event.Realm
	queue  chan *pending
	done   chan struct{}
	log    *zap.Logger
	room   func(bytes int) error // returns nil if the disk has room for so many bytes
	full   atomic.Bool           // the engine reported no room at the last try
	feed   func() *feed          // is told what was stored; nil before the first reader
	agenda func() *agenda.Agenda // receives written timers
	busy   atomic.Bool           // a commit is in flight
	// inMemory is true while the engine stages batches in memory, until unstage is
	// called.
	inMemory atomic.Bool
	unstage  func()
}

// stored settles records that are on disk, from sequence first on, each with what is
// beside it.
func (w *writer) stored(round []*pending, first uint64) {
	w.full.Store(false)
	if f := w.feed(); f != nil {
		f.noteStored(first + uint64(messages(round)) - 1)
	}
	a, seq := w.agenda(), first
	for _, p := range round {
		if a != nil {
			a.Add(asStored(w.realm, p.record, seq), false)
		}
		p.withBeside = p.record.Beside != nil
		p.settle(Result{Sequence: seq, header: p.header})
		seq += 1 + uint64(len(p.record.Beside))
	}
}

// asStored returns a record as the stream has it, without its headers and without the
// engine's stamp, which no answer contains.
func asStored(realm event.Realm, r event.Record, seq uint64) event.Stored {
	s := r.Unwritten(realm)
	s.Sequence = seq
	return s
}

// IsWriting reports whether ledger records are being stored. Work that can wait yields
// the processor meanwhile.
func (b *Bus) IsWriting() bool { return b.writers[event.StreamLedger].busy.Load() }

func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	var deferred []*pending // records that did not go into the last round
	for {
		round := deferred
		if len(round) == 0 {
			select {
			case p := <-w.queue:
				round = append(round, p)
			case <-ctx.Done():
				w.refuseRest(nil)
				return
			}
		}
		w.busy.Store(true)
		round, deferred = w.gather(round)
		w.write(ctx, round)
		w.busy.Store(false)
		if ctx.Err() != nil {
			w.refuseRest(deferred)
			return
		}
	}
}

// gather takes the queued records within the bounds of a batch. A subject goes once per
// round: its second record must find the first one stored.
func (w *writer) gather(round []*pending) (now, deferred []*pending) {
	n, bytes := 0, 0
	seen := map[string]bool{}
	take := func(p *pending) {
		if seen[p.record.Subject] || n+1+len(p.record.Beside) > batchRecords || bytes >= batchBytes {
			deferred = append(deferred, p)
			return
		}
		seen[p.record.Subject] = true
		n += 1 + len(p.record.Beside)
		bytes += p.bytes()
		now = append(now, p)
	}
	for _, p := range round {
		take(p)
	}
	for len(deferred) == 0 {
		select {
		case p := <-w.queue:
			take(p)
		default:
			return now, deferred
		}
	}
	return now, deferred
}

func (w *writer) refuseRest(deferred []*pending) {
	for _, p := range deferred {
		p.settle(Result{err: errClosed})
	}
	for {
		select {
		case p := <-w.queue:
			p.settle(Result{err: errClosed})
		default:
			return
		}
	}
}

// write stores a round. Records whose outcome is unknown are sent again with the same
// subjects, at once if an answer was lost: a record that was stored after all is
// recognized as ours by its salt.
func (w *writer) write(ctx context.Context, round []*pending) {
	pause := 50 * time.Millisecond
	for failures := 0; ; {
		err := w.try(ctx, round)
		if round = slices.DeleteFunc(round, func(p *pending) bool { return p.settled }); len(round) == 0 {
			return
		}
		if err == nil {
			continue
		}
		w.full.Store(isNoRoom(err))
		if failures++; failures%logEvery == 1 {
			w.log.Warn("records wait for the stream", zap.Int("records", len(round)), zap.Int("failed_tries", failures), zap.Error(err))
		}
		wait := pause
		if isTimeout(err) {
			wait = 0
		} else {
			pause = min(2*pause, maxPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			for _, p := range round {
				p.settle(Result{err: errClosed})
			}
			return
		}
	}
}

// try sends records once and settles those whose outcome is known. It sends nothing if
// the disk has no room for it.
func (w *writer) try(ctx context.Context, round []*pending) error {
	bytes := 0
	for _, p := range round {
		bytes += p.bytes()
	}
	if err := w.room(bytes); err != nil {
		return err
	}
	from := batchFromMemory
	if !w.inMemory.Load() {
		from, round = batchFrom, withoutBeside(round)
	}
	if messages(round) < from {
		return w.single(ctx, round)
	}
	return w.batch(ctx, round)
}

// isTimeout reports whether no answer came in time.
func isTimeout(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrAsyncPublishTimeout)
}

// message renders a record separately for each try, because the client library writes batch
// headers into it.
func (w *writer) message(p *pending) *nats.Msg {
	m := w.newMessage(p.record)
	p.header = m.Header
	return m
}

func (w *writer) newMessage(r event.Record) *nats.Msg {
	m := r.Message(w.realm)
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(r.Replaces, 10)}
	return m
}

// single publishes records one by one, all in flight at once.
func (w *writer) single(ctx context.Context, round []*pending) (err error) {
	futures := make([]jetstream.PubAckFuture, len(round))
	for i, p := range round {
		f, ferr := w.js.PublishMsgAsync(w.message(p), jetstream.WithStallWait(tryTimeout))
		switch {
		case ferr == nil:
			futures[i] = f
		case isFinal(ferr):
			p.refuse(ferr)
		default:
			err = ferr
		}
	}
	var taken []*pending
	for i, p := range round {
		if futures[i] == nil {
			continue
		}
		select {
		case ack := <-futures[i].Ok():
			w.stored(round[i:i+1], ack.Sequence)
		case aerr := <-futures[i].Err():
			switch {
			case isTaken(aerr):
				taken = append(taken, p)
			case isFinal(aerr):
				p.refuse(aerr)
			default:
				err = aerr
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if len(taken) > 0 {
		err = errors.Join(err, w.answerTaken(ctx, taken))
	}
	return err
}

// batch publishes records as one atomic batch. It settles none if the outcome is unknown,
// and those whose subjects were taken if the engine refused the batch for them.
func (w *writer) batch(ctx context.Context, round []*pending) error {
	sent := make([]*nats.Msg, 0, messages(round))
	for _, p := range round {
		sent = append(sent, w.message(p))
		for _, r := range p.record.Beside {
			sent = append(sent, w.newMessage(r))
		}
	}
	try, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	ack, err := jetstreamext.PublishMsgBatch(try, w.js, sent, jetstreamext.BatchFlowControl{AckTimeout: tryTimeout})
	if err == nil {
		w.stored(round, ack.Sequence-uint64(len(sent))+1)
		return nil
	}
	round = withoutBeside(round) // what is beside a record goes with the first try, or is left to its follower
	if isTaken(err) {
		return w.answerTaken(ctx, round)
	}
	switch {
	case isIncomplete(err) && w.inMemory.CompareAndSwap(true, false):
		w.unstage()
		return nil
	case isFinal(err):
		// One record made the engine refuse the batch: sent alone, each record gets its
		// own answer.
		for _, p := range round {
			if serr := w.single(ctx, []*pending{p}); serr != nil {
				err = serr
			}
		}
	}
	return err
}

// answerTaken looks up which of the subjects exist and settles their records. A timer that replaces the stored one is not settled: the batch was refused
// because of other records. If the timer to replace is gone, Replaces is cleared: the new
// timer may fire unnecessarily, but must not be lost.
func (w *writer) answerTaken(ctx context.Context, round []*pending) error {
	bySubject := make(map[string]*pending, len(round))
	subjects := make([]string, len(round))
	for i, p := range round {
		bySubject[p.record.Subject], subjects[i] = p, w.realm.Wire(p.record.Subject)
	}
	try, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	missing, complete := maps.Clone(bySubject), false // the list may be truncated
	found, err := jetstreamext.GetLastMsgsFor(try, w.js, w.stream, subjects)
	if err != nil {
		return fmt.Errorf("look up taken subjects: %w", err)
	}
	for m, err := range found {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			complete = true
			break
		}
		if err != nil {
			return fmt.Errorf("look up taken subjects: %w", err)
		}
		complete = m.Header.Get("Nats-Num-Pending") == "0"
		subject := w.realm.Plain(m.Subject)
		p, ok := bySubject[subject]
		if !ok || p.settled {
			continue
		}
		delete(missing, subject)
		if m.Sequence == p.record.Replaces {
			continue
		}
		existing := event.ReadStored(w.realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time)
		if existing.Salt == p.record.Salt {
			p.settle(Result{Sequence: m.Sequence, header: m.Header}) // ours; the answer was lost
		} else {
			p.settle(Result{Sequence: m.Sequence, Existing: &existing})
		}
	}
	if complete {
		for _, p := range missing {
			if p.record.Replaces != 0 { // only if set: the caller may be reading the other records
				p.record.Replaces = 0
			}
		}
	}
	return nil
}

// bytes returns the size of a record and of what is beside it.
func (p *pending) bytes() int {
	n := len(p.record.Data)
	for _, r := range p.record.Beside {
		n += len(r.Data)
	}
	return n
}

// errorCode returns the code with which the engine refused a request, or 0.
func errorCode(err error) jetstream.ErrorCode {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// isTaken reports whether the engine refused a record because its subject already has
// one: 10071 and (with replicas) 10164 by the expectation, 10077 by the limit of one,
// 10201 by a repeat in a batch.
func isTaken(err error) bool {
	return slices.Contains([]jetstream.ErrorCode{10071, 10164, 10077, 10201}, errorCode(err))
}

// isNoRoom reports whether the engine refused a record because it may store no more:
// 10047 and 10023 by its own limit, 10002 by the account's.
func isNoRoom(err error) bool {
	return slices.Contains([]jetstream.ErrorCode{10047, 10023, 10002}, errorCode(err))
}

// isIncomplete reports whether the engine lost a batch, also because it cannot write its
// staging files.
func isIncomplete(err error) bool {
	return errorCode(err) == jetstreamext.JSErrCodeBatchPublishIncomplete
}

// isFinal reports whether the engine will never accept the record as it is.
func isFinal(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) ||
		slices.Contains([]jetstream.ErrorCode{10054, 10097, 10189, 10190}, errorCode(err))
}
