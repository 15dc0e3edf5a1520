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

	patience   = 2 * time.Second // how long a query waits for the index to catch up
	withinCall = 20_000          // records; queries do not wait for an index further behind
)

// view answers queries about escalations and incidents from the index, and keeps the
// index up to date with the stream.
type view struct {
	deps   Deps
	index  atomic.Pointer[index.Index]
	damage chan error    // damage of the index found by a query
	head   atomic.Uint64 // the last record at the start
	reach  uint64        // withinCall

	mu      sync.Mutex
	through uint64        // the last record indexed
	reached chan struct{} // closed and replaced whenever through grows
	failure error         // why there is no index
	hurry   chan struct{} // has a value while somebody waits for that
}

func newView(d Deps) *view {
	return &view{deps: d, reach: withinCall, reached: make(chan struct{}), hurry: make(chan struct{}, 1), damage: make(chan error, 1)}
}

// run indexes until ctx ends. No error ends it: the index is opened again, and rebuilt
// from the stream if it is damaged or cannot be opened.
func (v *view) run(ctx context.Context) error {
	failures, pause := 0, reopenPause
	for {
		through := v.indexed()
		err := v.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if v.indexed() > through {
			failures, pause = 0, reopenPause
		}
		failures++
		v.fail(err)
		rebuild := index.MustRebuild(err, failures)
		v.deps.Log.Error("the index failed; queries wait until it is open again", zap.Bool("rebuild", rebuild), zap.Error(err))
		if rebuild {
			if err := index.Discard(v.deps.Dir); err != nil {
				v.deps.Log.Error("cannot remove the files of the index", zap.Error(err))
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

func (v *view) once(ctx context.Context) error {
	x, err := index.Open(ctx, v.deps.Dir)
	if err != nil {
		return err
	}
	defer x.Close() //nolint:errcheck // a projection: nothing is lost
	select {
	case <-v.damage: // of the previous index
	default:
	}
	through, err := v.start(ctx, x)
	if err != nil {
		return err
	}
	head, err := v.deps.Bus.Head(ctx)
	if err != nil {
		return err
	}
	v.head.Store(head)
	v.index.Store(x)
	defer v.index.Store(nil)
	v.fail(nil)
	v.moved(through)
	g, ctx := errgroup.WithContext(ctx)
	decoded := make(chan []extract.Item, decodedAhead)
	g.Go(func() error {
		return v.deps.Bus.Tail(ctx, through+1, nil, func(ctx context.Context, batch []event.Stored) error {
			return v.take(ctx, batch, decoded)
		})
	})
	g.Go(func() error { return v.add(ctx, x, decoded) })
	g.Go(func() error { return x.Guard(ctx) })
	g.Go(func() error {
		select {
		case err := <-v.damage:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g.Wait()
}

// errNoIndex is returned while there is no index.
var errNoIndex error = endpoint.Unavailable("the index is being opened or rebuilt: ask again later; reports and alarms go on")

// report turns an error of the index into one that tells the caller to retry. Unless it
// is temporary, run opens the index again.
func (v *view) report(err error) error {
	switch {
	case errors.Is(err, index.ErrClosed):
		return fmt.Errorf("%w: %w", errNoIndex, err)
	case !index.IsFault(err):
		return err
	}
	if !index.IsTemporary(err) {
		select {
		case v.damage <- err:
		default: // one is reported already
		}
	}
	return fmt.Errorf("%w: %w", errNoIndex, err)
}

// fail notes why there is no index; nil: there is one.
func (v *view) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failure = err
}

// IndexFailure returns why there is no index at the moment; nil: there is one.
func (v *view) IndexFailure() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failure
}

// start returns the index's position, after discarding an index of another ledger.
func (v *view) start(ctx context.Context, x *index.Index) (uint64, error) {
	seq, salt, err := x.Position(ctx)
	if err != nil || seq == 0 {
		return 0, err
	}
	at, err := v.deps.Bus.Get(ctx, seq)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return 0, err
	}
	if err == nil && at.Salt == salt {
		return seq, nil
	}
	v.deps.Log.Error("the index is of another ledger, or of a longer one; it is made again", zap.Uint64("position", seq))
	return 0, x.Reset(ctx)
}

// moved publishes a new position of the index.
func (v *view) moved(through uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.through = through
	close(v.reached)
	v.reached = make(chan struct{})
}

// want makes the index continue at once.
func (v *view) want() {
	select {
	case v.hurry <- struct{}{}:
	default: // already requested
	}
}

// caughtUp waits up to patience until the index has every record that is stored now, and
// returns its position. It does not wait for an index that is far behind: an answer
// states what it covers.
func (v *view) caughtUp(ctx context.Context) (*index.Index, uint64, error) {
	head, err := v.deps.Bus.Head(ctx)
	if err != nil {
		return nil, 0, err
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	for {
		v.mu.Lock()
		through, reached, failure := v.through, v.reached, v.failure
		v.mu.Unlock()
		x := v.index.Load()
		if x != nil && (through >= head || head-through > v.reach) {
			return x, through, nil
		}
		if x == nil && failure != nil {
			return nil, 0, errNoIndex
		}
		v.want()
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
func (v *view) Indexed() uint64 { return v.indexed() }

func (v *view) indexed() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.through
}

// isBehind reports whether the index lacks so many records from before the start that no
// query waits for it.
func (v *view) isBehind() bool { return v.indexed()+v.reach < v.head.Load() }

// IsIndexBehind reports whether the index lacks many records from before the start.
func (v *view) IsIndexBehind() bool { return v.isBehind() }

// grown waits until the index is past a record.
func (v *view) grown(ctx context.Context, after uint64) error {
	for {
		v.mu.Lock()
		through, reached := v.through, v.reached
		v.mu.Unlock()
		if through > after {
			return nil
		}
		v.want()
		select {
		case <-reached:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *view) stats(ctx context.Context, q api.StatsQuery) (api.StatsAnswer, error) {
	x, through, err := v.caughtUp(ctx)
	if err != nil {
		return api.StatsAnswer{}, err
	}
	answer, err := x.Stats(ctx, q, v.deps.Clock.Now())
	answer.Through = through
	return answer, v.report(err)
}

func (v *view) escalations(ctx context.Context, q api.Query) (api.QueryAnswer, error) {
	x, through, err := v.caughtUp(ctx)
	if err != nil {
		return api.QueryAnswer{}, err
	}
	answer, err := x.Escalations(ctx, q, v.deps.Clock.Now())
	answer.Through = through
	return answer, v.report(err)
}

func (v *view) incidents(ctx context.Context, q api.IncidentQuery) (api.IncidentAnswer, error) {
	x, through, err := v.caughtUp(ctx)
	if err != nil {
		return api.IncidentAnswer{}, err
	}
	answer, err := x.Incidents(ctx, q)
	answer.Through, answer.Now = through, v.deps.Clock.Now()
	for i := range answer.Rows {
		answer.Rows[i].Exercise = v.deps.Exercise
		trim(&answer.Rows[i], identity.Of(ctx).Sight())
	}
	return answer, v.report(err)
}
