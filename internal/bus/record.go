package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// State is the state of the ledger's stream as the engine reports it.
type State struct {
	Last     uint64 // sequence of the last record, even if it was removed
	Messages uint64 // records that exist
}

// State returns the state of the ledger's stream.
func (b *Bus) State(ctx context.Context) (State, error) {
	info, err := b.ledger.Info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return State{}, nil // the stream was deleted
	}
	if err != nil {
		return State{}, fmt.Errorf("bus: state: %w", engineError(err))
	}
	return State{Last: info.State.LastSeq, Messages: info.State.Msgs}, nil
}

// From returns the first ledger record with sequence seq or later, or ErrNotFound.
func (b *Bus) From(ctx context.Context, seq uint64) (event.Stored, error) {
	return b.first(ctx, max(1, seq), ">")
}

// SequenceAt returns the sequence of the first ledger record that the engine stored at a
// time or later, or the one after the last record. The engine's timestamps grow with the
// sequence.
func (b *Bus) SequenceAt(ctx context.Context, at time.Time) (uint64, error) {
	// Clamp times that do not fit into nanoseconds: they are before or after all records.
	at = time.Unix(min(max(at.Unix(), 0), math.MaxInt64/int64(time.Second)-1), int64(at.Nanosecond()))
	found, err := b.batch(ctx, ">", 1, jetstreamext.GetBatchStartTime(at))
	if err != nil {
		return 0, err
	}
	if len(found) > 0 {
		return found[0].Sequence, nil
	}
	state, err := b.State(ctx)
	return state.Last + 1, err
}

// Erase removes a ledger record and overwrites it on disk, which takes the engine some
// twenty times as long as Remove. It succeeds if the record is already gone.
func (b *Bus) Erase(ctx context.Context, seq uint64) error {
	return removed(seq, b.ledger.SecureDeleteMsg(ctx, seq))
}

// Remove removes a ledger record; its bytes stay on disk until the engine reuses the
// space. It succeeds if the record is already gone.
func (b *Bus) Remove(ctx context.Context, seq uint64) error {
	return removed(seq, b.ledger.DeleteMsg(ctx, seq))
}

func removed(seq uint64, err error) error {
	if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && isNotFound(err) {
		return nil
	}
	return fmt.Errorf("bus: remove record %d: %w", seq, engineError(err))
}

// isNotFound reports whether the engine answered that there is no such message. Its client
// keeps only the text of that error.
func isNotFound(err error) bool {
	return strings.Contains(err.Error(), "err_code=10043") || strings.Contains(err.Error(), "no message found")
}

// Range passes the ledger records from…to to handle, in order and in batches, and returns
// when it has passed on those that exist. A record that the engine cannot read is left
// out, like a removed one.
//
// It reads through a consumer, up to lead ahead of handle. That brings three times as
// many records a second as Page but costs more to start.
func (b *Bus) Range(ctx context.Context, from, to uint64, lead Lead, handle func([]event.Stored) error) error {
	last, err := b.last(ctx)
	if err != nil {
		return err
	}
	return b.readThrough(ctx, from, min(to, last), lead, handle)
}

// readThrough is Range where the last record to read is known. It trusts deliveries at
// once, but an answer that a record is missing only after a while: the replica that
// answers may lag.
func (b *Bus) readThrough(ctx context.Context, from, to uint64, lead Lead, handle func([]event.Stored) error) error {
	for from <= to {
		read, err := b.readDelivered(ctx, from, to, lead, handle)
		if err == nil && read <= to {
			read, err = b.after(ctx, read)
		}
		if err != nil {
			return err
		}
		from = read
	}
	return nil
}

// silence is how long a consumer may deliver nothing before the engine is asked for the
// next record.
const silence = time.Second

// readDelivered passes on what one consumer delivers, until that is silent or has passed
// to, and returns the sequence after the last record delivered.
func (b *Bus) readDelivered(ctx context.Context, from, to uint64, lead Lead, handle func([]event.Stored) error) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals, stop, err := b.consume(ctx, event.StreamLedger, from, nil, lead)
	if err != nil {
		return from, err
	}
	defer stop()
	for from <= to {
		try, cancel := context.WithTimeout(ctx, silence)
		batch, err := next(try, arrivals)
		cancel()
		if err != nil {
			return from, ctx.Err() // nil when it is silent
		}
		from = batch[len(batch)-1].Sequence + 1
		if batch = within(batch, to); len(batch) == 0 {
			break
		}
		if err := handle(batch); err != nil {
			return from, err
		}
	}
	return from, nil
}

// after asks the engine for the next record from a sequence on and returns its sequence,
// or math.MaxUint64 if there is none.
func (b *Bus) after(ctx context.Context, from uint64) (uint64, error) {
	s, err := b.From(ctx, from)
	if errors.Is(err, ErrNotFound) {
		return math.MaxUint64, nil
	}
	return s.Sequence, err
}

// within returns the part of a batch up to a sequence.
func within(batch []event.Stored, to uint64) []event.Stored {
	for len(batch) > 0 && batch[len(batch)-1].Sequence > to {
		batch = batch[:len(batch)-1]
	}
	return batch
}

// last returns the sequence of the last existing record, or 0. It searches, because the
// engine finds its last record only by sequence, and none if that record was removed.
func (b *Bus) last(ctx context.Context) (uint64, error) {
	state, err := b.State(ctx)
	if err != nil {
		return 0, err
	}
	found, beyond := uint64(0), state.Last+1
	for probe := state.Last; found+1 < beyond; probe = found + (beyond-found)/2 {
		r, err := b.From(ctx, probe)
		switch {
		case errors.Is(err, ErrNotFound):
			beyond = probe
		case err != nil:
			return 0, err
		default:
			found = r.Sequence
		}
	}
	return found, nil
}

// Page returns the first ledger records from…to of the subjects (nil: all) in order, none
// if there are none: at most records of them, never more than batchRecords, and about
// bytes in size. A longer answer would not fit in the connection's queue.
func (b *Bus) Page(ctx context.Context, from, to uint64, subjects []string, records, bytes int) ([]event.Stored, error) {
	if subjects == nil {
		subjects = []string{">"}
	}
	records = min(records, batchRecords)
	var out []event.Stored
	for _, subject := range subjects {
		found, err := b.batch(ctx, subject, records, jetstreamext.GetBatchSeq(max(1, from)), jetstreamext.GetBatchMaxBytes(bytes))
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && len(subjects) > 1 {
			to = min(to, found[len(found)-1].Sequence) // beyond it another subject may have unread records
		}
		out = append(out, found...)
	}
	slices.SortFunc(out, func(a, b event.Stored) int { return cmp.Compare(a.Sequence, b.Sequence) })
	out = slices.CompactFunc(out, func(a, b event.Stored) bool { return a.Sequence == b.Sequence })
	return within(out, to), nil
}

// batch reads records of a subject, which may contain wildcards. It retries if no answer
// comes.
func (b *Bus) batch(ctx context.Context, subject string, records int, from ...jetstreamext.GetBatchOpt) ([]event.Stored, error) {
	realm := b.cfg.Realm
	options := append(slices.Clone(from), jetstreamext.GetBatchSubject(realm.Wire(subject)))
	return retry(ctx, func(ctx context.Context) ([]event.Stored, error) { return b.tryBatch(ctx, records, options) })
}

func (b *Bus) tryBatch(ctx context.Context, records int, options []jetstreamext.GetBatchOpt) ([]event.Stored, error) {
	found, err := jetstreamext.GetBatch(ctx, b.js, b.cfg.Realm.Stream(event.StreamLedger), records, options...)
	if err != nil {
		return nil, fmt.Errorf("bus: read: %w", engineError(err))
	}
	out := make([]event.Stored, 0, records)
	for m, err := range found {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("bus: read: %w", engineError(err))
		}
		out = append(out, event.ReadStored(b.cfg.Realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time))
	}
	return out, nil
}
