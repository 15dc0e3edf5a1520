package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

const (
	reopenPause    = time.Second // before a failed index is opened again; it doubles
	maxReopenPause = 5 * time.Second

	catchUpTimeout = 2 * time.Second // how long a query waits for the index to catch up
	maxLag         = 20_000          // records; queries do not wait for an index further behind
)

// follower answers queries about escalations and incidents from the index, and keeps the
// index up to date with the stream.
type follower struct {
	deps   Deps
	index  atomic.Pointer[index.Index]
	damage chan error    // damage of the index found by a query
	head   atomic.Uint64 // the last record at the start
	reach  uint64        // maxLag; shorter in tests

	mu      sync.Mutex
	through uint64        // the last record indexed
	reached chan struct{} // closed and replaced whenever through grows
	failure error         // why there is no index
	urgent  chan struct{} // has a value while a query waits for through to grow
}

func newFollower(d Deps) *follower {
	return &follower{deps: d, reach: maxLag, reached: make(chan struct{}), urgent: make(chan struct{}, 1), damage: make(chan error, 1)}
}

// run indexes until ctx ends. No error ends it: the index is opened again, and rebuilt
// from the stream if it is damaged or cannot be opened.
func (f *follower) run(ctx context.Context) error {
	failures, pause := 0, reopenPause
	for {
		through := f.Indexed()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.Indexed() > through {
			failures, pause = 0, reopenPause
		}
		failures++
		f.setFailure(err)
		rebuild := index.MustRebuild(err, failures)
		f.deps.Log.Error("the index failed; queries wait until it is reopened", zap.Bool("rebuild", rebuild), zap.Error(err))
		if rebuild {
			if err := index.Discard(f.deps.Dir); err != nil {
				f.deps.Log.Error("cannot remove the files of the index", zap.Error(err))
			}
			if failures == 1 {
				continue
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, maxReopenPause)
	}
}

func (f *follower) once(ctx context.Context) error {
	x, err := index.Open(ctx, f.deps.Dir)
	if err != nil {
		return err
	}
	defer x.Close() // a projection: nothing is lost
	select {
	case <-f.damage: // of the previous index
	default:
	}
	through, err := f.start(ctx, x)
	if err != nil {
		return err
	}
	head, err := f.deps.Bus.Head(ctx)
	if err != nil {
		return err
	}
	f.head.Store(head)
	f.index.Store(x)
	defer f.index.Store(nil)
	f.setFailure(nil)
	f.setPosition(through)
	g, ctx := errgroup.WithContext(ctx)
	decoded := make(chan []extract.Item, decodedAhead)
	g.Go(func() error {
		return f.deps.Bus.Tail(ctx, through+1, nil, func(ctx context.Context, batch []event.Stored) error {
			return f.take(ctx, batch, decoded)
		})
	})
	g.Go(func() error { return f.add(ctx, x, decoded) })
	g.Go(func() error { return x.Guard(ctx) })
	g.Go(func() error {
		select {
		case err := <-f.damage:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g.Wait()
}

// errNoIndex is returned while there is no index.
var errNoIndex error = endpoint.Unavailable("the index is being opened or rebuilt: ask again later; reports and alarms are not affected")

// indexError turns an error of the index into one that tells the caller to retry. Unless it
// is temporary, run opens the index again.
func (f *follower) indexError(err error) error {
	switch {
	case errors.Is(err, index.ErrClosed):
		return fmt.Errorf("%w: %w", errNoIndex, err)
	case !index.IsFault(err):
		return err
	}
	if !index.IsTemporary(err) {
		select {
		case f.damage <- err:
		default: // one is reported already
		}
	}
	return fmt.Errorf("%w: %w", errNoIndex, err)
}

// setFailure sets why there is no index; nil: there is one.
func (f *follower) setFailure(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// IndexFailure returns why there is no index at the moment; nil: there is one.
func (f *follower) IndexFailure() error {
	_, _, failure := f.position()
	return failure
}

// position returns the last record indexed, a channel that is closed when it grows, and
// why there is no index.
func (f *follower) position() (through uint64, grown <-chan struct{}, failure error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.through, f.reached, f.failure
}

// start returns the index's position, after discarding an index of another ledger.
func (f *follower) start(ctx context.Context, x *index.Index) (uint64, error) {
	seq, salt, err := x.Position(ctx)
	if err != nil || seq == 0 {
		return 0, err
	}
	at, err := f.deps.Bus.Get(ctx, seq)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return 0, err
	}
	if err == nil && at.Salt == salt {
		return seq, nil
	}
	f.deps.Log.Error("the index belongs to another ledger or to a longer one; rebuilding it", zap.Uint64("position", seq))
	return 0, x.Reset(ctx)
}

// setPosition publishes a new position of the index.
func (f *follower) setPosition(through uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.through = through
	close(f.reached)
	f.reached = make(chan struct{})
}

// requestIndexing ends the pause of the index.
func (f *follower) requestIndexing() {
	select {
	case f.urgent <- struct{}{}:
	default: // already requested
	}
}

// caughtUp waits up to catchUpTimeout until the index has every record that is stored now, and
// returns its position. It does not wait for an index that is far behind: an answer
// states what it covers.
func (f *follower) caughtUp(ctx context.Context) (*index.Index, uint64, error) {
	head, err := f.deps.Bus.Head(ctx)
	if err != nil {
		return nil, 0, err
	}
	wait := time.NewTimer(catchUpTimeout)
	defer wait.Stop()
	for {
		through, reached, failure := f.position()
		x := f.index.Load()
		if x != nil && (through >= head || head-through > f.reach) {
			return x, through, nil
		}
		if x == nil && failure != nil {
			return nil, 0, errNoIndex
		}
		f.requestIndexing()
		select {
		case <-reached:
		case <-wait.C:
			if x == nil {
				return nil, 0, errNoIndex
			}
			return x, through, nil
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Indexed returns the last record that answers cover.
func (f *follower) Indexed() uint64 {
	through, _, _ := f.position()
	return through
}

// IsIndexBehind reports whether the index lacks so many records from before the start that
// no query waits for it.
func (f *follower) IsIndexBehind() bool { return f.Indexed()+f.reach < f.head.Load() }

// waitBeyond waits until the index is past a record.
func (f *follower) waitBeyond(ctx context.Context, after uint64) error {
	for {
		through, reached, _ := f.position()
		if through > after {
			return nil
		}
		f.requestIndexing()
		select {
		case <-reached:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) stats(ctx context.Context, q api.StatsQuery) (api.StatsAnswer, error) {
	x, through, err := f.caughtUp(ctx)
	if err != nil {
		return api.StatsAnswer{}, err
	}
	answer, err := x.Stats(ctx, q, f.deps.Clock.Now())
	answer.Through = through
	return answer, f.indexError(err)
}

func (f *follower) escalations(ctx context.Context, q api.Query) (api.QueryAnswer, error) {
	x, through, err := f.caughtUp(ctx)
	if err != nil {
		return api.QueryAnswer{}, err
	}
	answer, err := x.Escalations(ctx, q, f.deps.Clock.Now())
	answer.Through = through
	for i := range answer.Rows {
		f.deps.Citations.Duties(answer.Rows[i].Duties)
		f.deps.Citations.Duties(answer.Rows[i].Standing)
	}
	return answer, f.indexError(err)
}

func (f *follower) incidents(ctx context.Context, q api.IncidentQuery) (api.IncidentAnswer, error) {
	x, through, err := f.caughtUp(ctx)
	if err != nil {
		return api.IncidentAnswer{}, err
	}
	answer, err := x.Incidents(ctx, q)
	answer.Through, answer.Now = through, f.deps.Clock.Now()
	for i := range answer.Rows {
		answer.Rows[i].Exercise = f.deps.Exercise
		f.deps.Citations.Obligations(answer.Rows[i].Owed)
		trim(&answer.Rows[i], identity.Of(ctx).Scope())
	}
	return answer, f.indexError(err)
}
