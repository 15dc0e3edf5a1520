package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
)

// tailBatch bounds the records passed to a reader at once.
const tailBatch = 1000

// Lead is how far the engine delivers ahead of the reader.
type Lead struct {
	pull    jetstream.PullConsumeOpt
	records int // how many of those are buffered decoded
}

var (
	// Ahead is for the highest throughput, bounded by bytes, because a record may have
	// very few or a whole event.MaxMessage. Eight megabytes give a tenth more records a
	// second than a limit of a thousand records; thirty-two give no more.
	Ahead = Lead{jetstream.PullMaxBytes(2 * event.MaxMessage), tailBatch}
	// AheadGently is for readers that pause in between and must not delay others on the
	// connection.
	AheadGently = Lead{jetstream.PullMaxMessages(50), 50}
)

// Tail passes the ledger records of the subjects to handle, from sequence from on, in
// ledger order and in batches of what is waiting, until ctx ends or handle returns an
// error, which it returns. After a lost connection it continues where it was.
func (b *Bus) Tail(ctx context.Context, from uint64, subjects []string, handle func(context.Context, []event.Stored) error) error {
	f, err := b.ledgerFeed(ctx)
	if err != nil {
		return err
	}
	if from = max(1, from); !f.isFarBehind(from, subjects) {
		return reading{bus: b, feed: f, filters: wired(b.cfg.Realm, subjects), handle: handle}.run(ctx, from)
	}
	arrivals, stop, err := b.consume(ctx, event.StreamLedger, from, subjects, Ahead)
	if err != nil {
		return err
	}
	defer stop()
	for {
		batch, err := next(ctx, arrivals)
		if err != nil {
			return err
		}
		if err := handle(ctx, batch); err != nil {
			return err
		}
	}
}

// arrivals is Tail on a channel, for a follower, whose progress is tracked.
func (b *Bus) arrivals(ctx context.Context, name string, from uint64, subjects []string) (<-chan event.Stored, func(), error) {
	f, err := b.ledgerFeed(ctx)
	if err != nil {
		return nil, nil, err
	}
	if from = max(1, from); f.isFarBehind(from, subjects) {
		return b.consume(ctx, event.StreamLedger, from, subjects, Ahead)
	}
	out := make(chan event.Stored, tailBatch)
	p := &progress{name: name, moves: b.progressed}
	b.following.Store(p, nil)
	filters := wired(b.cfg.Realm, subjects)
	r := reading{bus: b, feed: f, progress: p, handle: func(ctx context.Context, batch []event.Stored) error {
		for _, s := range batch {
			if !matches(filters, s.Wire) {
				continue
			}
			select {
			case out <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.following.Delete(p)
		_ = r.run(ctx, from) // returns when stopped
	}()
	return out, func() { stop(); <-done }, nil
}

// consume opens an ordered consumer that reads a stream from a sequence on, up to lead
// ahead of the channel's reader.
func (b *Bus) consume(ctx context.Context, stream string, from uint64, subjects []string, lead Lead) (<-chan event.Stored, func(), error) {
	realm := b.cfg.Realm
	cons, err := b.js.OrderedConsumer(ctx, realm.Stream(stream), jetstream.OrderedConsumerConfig{
		FilterSubjects: wired(realm, subjects),
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    max(1, from),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("bus: read %s: %w", stream, engineError(err))
	}
	out := make(chan event.Stored, lead.records)
	consume, err := cons.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return // not a stream message; an ordered consumer delivers none
		}
		s := event.ReadStored(realm, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
		select {
		case out <- s:
		case <-ctx.Done():
		}
	}, lead.pull, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		b.cfg.Log.Debug("reading from the stream was interrupted", zap.String("stream", stream), zap.Error(err))
	}))
	if err != nil {
		return nil, nil, fmt.Errorf("bus: read %s: %w", stream, err)
	}
	return out, func() { b.forget(realm.Stream(stream), cons, consume) }, nil
}

// forget stops reading and deletes the consumer, which the engine would keep for minutes.
func (b *Bus) forget(stream string, cons jetstream.Consumer, consume jetstream.ConsumeContext) {
	consume.Stop()
	info := cons.CachedInfo()
	if info == nil || !b.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := b.js.DeleteConsumer(ctx, stream, info.Name); err != nil {
		b.cfg.Log.Debug("cannot delete a consumer; the engine deletes it once it is idle", zap.String("stream", stream), zap.Error(err))
	}
}

// next returns the records that have arrived, at least one.
func next(ctx context.Context, arrivals <-chan event.Stored) ([]event.Stored, error) {
	var batch []event.Stored
	select {
	case s := <-arrivals:
		batch = append(batch, s)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(batch) < tailBatch {
		select {
		case s := <-arrivals:
			batch = append(batch, s)
		default:
			return batch, nil
		}
	}
	return batch, nil
}
