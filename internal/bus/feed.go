package bus

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
)

// feed is a buffer of recent ledger records. It is read from the engine once for all
// readers: services that keep up with the ledger read from it, and those that are behind
// read from the engine until they have caught up.
type feed struct {
	mu     sync.Mutex
	from   uint64         // recent has every existing record from here on…
	upTo   uint64         // …to here
	recent []event.Stored // in order
	bytes  int
	stored uint64        // sequence of the last record that we wrote
	grown  chan struct{} // closed and replaced when recent grows
}

func newFeed(head uint64) *feed {
	return &feed{from: head + 1, upTo: head, grown: make(chan struct{})}
}

// Bounds of the feed, which is trimmed at twice as much.
const (
	feedRecords = 4 << 10
	feedBytes   = 12 << 20
)

// fill adds the records that the engine delivers until ctx ends.
func (f *feed) fill(ctx context.Context, arrivals <-chan event.Stored) {
	for {
		batch, err := next(ctx, arrivals)
		if err != nil {
			return
		}
		f.add(batch)
	}
}

func (f *feed) add(batch []event.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(batch) > 0 && batch[0].Sequence <= f.upTo { // the stream was truncated, which the ledger detects
		batch = batch[1:]
	}
	if len(batch) == 0 {
		return
	}
	for _, s := range batch {
		f.bytes += len(s.Data)
	}
	f.recent = append(f.recent, batch...)
	f.upTo = batch[len(batch)-1].Sequence
	if len(f.recent) > 2*feedRecords || f.bytes > 2*feedBytes {
		f.trim()
	}
	close(f.grown)
	f.grown = make(chan struct{})
}

// noteStored records that this process has stored a record.
func (f *feed) noteStored(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = max(f.stored, seq)
}

// trim drops the older half and copies the rest, because readers hold parts of the old
// slice.
func (f *feed) trim() {
	drop := len(f.recent) / 2
	for _, s := range f.recent[:drop] {
		f.bytes -= len(s.Data)
	}
	f.recent = append(make([]event.Stored, 0, 2*feedRecords), f.recent[drop:]...)
	f.from = f.recent[0].Sequence
}

// after returns up to tailBatch records from a sequence on. If there are none it returns a
// channel that is closed when there are. has is false if the feed begins after from.
func (f *feed) after(from uint64) (batch []event.Stored, grown <-chan struct{}, has bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from < f.from {
		return nil, nil, false
	}
	if i := sort.Search(len(f.recent), func(i int) bool { return f.recent[i].Sequence >= from }); i < len(f.recent) {
		j := min(i+tailBatch, len(f.recent))
		return f.recent[i:j:j], nil, true
	}
	return nil, f.grown, true
}

// head returns the sequence of the last record known to be stored.
func (f *feed) head() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.stored, f.upTo)
}

// begins returns the first sequence from which the feed is complete.
func (f *feed) begins() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from
}

// ledgerFeed returns the feed and starts it for the first reader.
func (b *Bus) ledgerFeed(ctx context.Context) (*feed, error) {
	b.feedMu.Lock()
	defer b.feedMu.Unlock()
	if f := b.feed.Load(); f != nil {
		return f, nil
	}
	head, err := b.Head(ctx)
	if err != nil {
		return nil, err
	}
	arrivals, stop, err := b.consume(b.life, event.StreamLedger, head+1, nil, Ahead)
	if err != nil {
		return nil, err
	}
	f := newFeed(head)
	b.readers.Go(func() {
		defer stop()
		f.fill(b.life, arrivals)
	})
	b.feed.Store(f)
	return f, nil
}

// maxFeedLag is how many records a reader of some subjects may be behind the feed and
// still catch up with it by reading all records. One that is further behind uses a
// consumer of its own.
const maxFeedLag = 1 << 15

// isFarBehind reports whether a reader of some subjects uses a consumer of its own.
func (f *feed) isFarBehind(from uint64, subjects []string) bool {
	return len(subjects) > 0 && from+maxFeedLag < f.begins()
}

// reading is one reader of the ledger.
type reading struct {
	bus      *Bus
	feed     *feed
	filters  []string // as on the wire; none: all
	handle   func(context.Context, []event.Stored) error
	progress *progress // nil: not tracked
}

// run passes records from a sequence on to handle until ctx ends or handle returns an
// error.
func (r reading) run(ctx context.Context, from uint64) error {
	for ctx.Err() == nil {
		batch, grown, has := r.feed.after(from)
		if r.progress != nil && (has || r.progress.at.Load() > 0) {
			r.progress.note(from)
		}
		var err error
		switch {
		case !has:
			from, err = r.catchUp(ctx, from)
		case batch == nil:
			select {
			case <-grown:
			case <-ctx.Done():
			}
		default:
			err = r.hand(ctx, batch)
			from = batch[len(batch)-1].Sequence + 1
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r reading) hand(ctx context.Context, batch []event.Stored) error {
	if len(r.filters) > 0 {
		batch = slices.DeleteFunc(slices.Clone(batch), func(s event.Stored) bool { return !matches(r.filters, s.Wire) })
	}
	if len(batch) == 0 {
		return nil
	}
	return r.handle(ctx, batch)
}

// matches reports whether a subject matches one of the filters; no filters match
// everything.
func matches(filters []string, subject string) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(filter string) bool { return event.Matches(filter, subject) })
}

// catchUp reads from the engine what was stored when it began, and returns the sequence
// from which on the feed is read again.
func (r reading) catchUp(ctx context.Context, from uint64) (uint64, error) {
	head := r.feed.head()
	var failed error
	err := r.bus.readThrough(ctx, from, head, Ahead, func(batch []event.Stored) error {
		from = batch[len(batch)-1].Sequence + 1
		if failed = r.hand(ctx, batch); failed != nil {
			return failed
		}
		if r.progress != nil && r.progress.at.Load() > 0 {
			r.progress.note(from)
		}
		return nil
	})
	switch {
	case err == nil:
		return max(from, head+1), nil // records at the end were removed
	case failed != nil:
		return from, failed
	}
	r.bus.cfg.Log.Debug("cannot read the ledger; trying again", zap.Error(err))
	select {
	case <-time.After(unavailablePause):
	case <-ctx.Done():
	}
	return from, nil
}
