package ledger

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// decodedAhead bounds the batches that are decoded ahead of the writer.
const decodedAhead = 2

// yieldFrom is the batch from which the index pauses as long as it worked while reports
// are being stored: notifying desks is more important than queries.
const yieldFrom = 500

// indexEvery is the interval of transactions while no query waits: each costs as much as
// some fifty records.
const indexEvery = 100 * time.Millisecond

// progressEvery is the interval of progress lines while the index is far behind.
const progressEvery = 5 * time.Second

// take decodes a batch for the goroutine that writes.
func (f *follower) take(ctx context.Context, batch []event.Stored, decoded chan<- []extract.Item) error {
	items := extract.Decode(withLateness(f.deps.Clock, batch))
	select {
	case decoded <- items:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add indexes decoded records, all waiting ones in one transaction.
func (f *follower) add(ctx context.Context, x *index.Index, decoded <-chan []extract.Item) error {
	progress := rate.Sometimes{Interval: progressEvery}
	var pause time.Duration
	urgent := f.urgent
	for {
		items, err := f.gather(ctx, pause, urgent, decoded)
		if err != nil {
			return err
		}
		began := clock.Steady()
		unreadable, err := x.Write(ctx, items)
		if err != nil {
			return err
		}
		for _, err := range unreadable {
			f.deps.Log.Error("cannot decode a record; it is listed in the story of its incident only", zap.Error(err))
		}
		last := items[len(items)-1].Sequence
		f.setPosition(last)
		if f.IsIndexBehind() {
			progress.Do(func() {
				f.deps.Log.Info("indexing", zap.Uint64("through", last), zap.Uint64("of", f.head.Load()))
			})
		}
		took := clock.Steady().Sub(began)
		urgent, pause = f.urgent, indexEvery-took
		switch {
		case last < f.head.Load():
			pause = 0
		case len(items) >= yieldFrom && f.deps.Bus.IsWriting():
			urgent, pause = nil, max(took, pause) // even if a query waits
		}
	}
}

// gather returns decoded records for one transaction: all that arrive until the pause is
// over or a query waits for them.
func (f *follower) gather(ctx context.Context, pause time.Duration, urgent <-chan struct{}, decoded <-chan []extract.Item) (items []extract.Item, err error) {
	pauseEnd := time.After(pause)
	for more := decoded; ; {
		if len(items) >= index.MaxBatch {
			more = nil
		}
		select {
		case next := <-more:
			items = append(items, next...)
			continue
		default:
		}
		if len(items) > 0 && pauseEnd == nil {
			return items, nil
		}
		select {
		case next := <-more:
			items = append(items, next...)
		case <-pauseEnd:
			pauseEnd, urgent = nil, nil
		case <-urgent:
			pauseEnd, urgent = nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
