package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// holds is the key prefix under which each log stores, for every writing process, why the
// ledger is frozen.
const holds = "held."

// Hold freezes the ledger for every process until the same log releases it: new records
// would take the places of records that the log certified. Commit then fails with why.
func (b *Bus) Hold(ctx context.Context, log, why string) error {
	b.held.Store(log, why)
	if _, err := b.positions.PutString(ctx, holds+log, why); err != nil {
		return fmt.Errorf("bus: hold: %w", engineError(err))
	}
	return nil
}

// Release ends the freeze by a log.
func (b *Bus) Release(ctx context.Context, log string) error {
	if _, held := b.held.LoadAndDelete(log); !held {
		return nil
	}
	if err := b.positions.Delete(ctx, holds+log); err != nil {
		return fmt.Errorf("bus: release: %w", engineError(err))
	}
	return nil
}

// Held returns why the ledger is frozen, or "".
func (b *Bus) Held() (why string) {
	b.held.Range(func(_, value any) bool {
		why = value.(string)
		return false
	})
	return why
}

// watchHeld watches freezes until ctx ends. It returns once the current state is known.
func (b *Bus) watchHeld(ctx context.Context) error {
	w, err := b.positions.Watch(ctx, holds+"*")
	if err != nil {
		return fmt.Errorf("bus: held: %w", engineError(err))
	}
	known := make(chan struct{})
	go func() {
		defer w.Stop() // fails only where the connection is gone
		for {
			select {
			case e, open := <-w.Updates():
				switch {
				case !open:
					return
				case e == nil: // the initial values are complete
					close(known)
				case e.Operation() == jetstream.KeyValuePut:
					b.held.Store(strings.TrimPrefix(e.Key(), holds), string(e.Value()))
				default:
					b.held.Delete(strings.TrimPrefix(e.Key(), holds))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	select {
	case <-known:
		return nil
	case <-time.After(commitWait):
		return fmt.Errorf("bus: held: %w", ErrUnavailable)
	}
}

// heldPause is how often a follower retries while the ledger is frozen.
const heldPause = 500 * time.Millisecond

// commit is Commit for a follower. It waits while the ledger is frozen.
func (r *run) commit(ctx context.Context, records []event.Record) ([]Result, error) {
	for {
		results, err := r.bus.commit(ctx, records)
		if frozen := Frozen(""); !errors.As(err, &frozen) {
			return results, err
		}
		r.bus.beat(heart{r.f.Name, "follows " + r.stream})
		select {
		case <-time.After(heldPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
