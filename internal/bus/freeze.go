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

// freezes is the key prefix under which each log stores, for every writing process, why
// the ledger is frozen.
const freezes = "held."

// Freeze stops writing to the ledger for every process until the same log ends the
// freeze: new records would take the places of records that the log certified. Commit
// then fails with the reason.
func (b *Bus) Freeze(ctx context.Context, log, reason string) error {
	b.frozen.Store(log, reason)
	if _, err := b.positions.PutString(ctx, freezes+log, reason); err != nil {
		return fmt.Errorf("bus: freeze: %w", engineError(err))
	}
	return nil
}

// Unfreeze ends the freeze by a log.
func (b *Bus) Unfreeze(ctx context.Context, log string) error {
	if _, frozen := b.frozen.LoadAndDelete(log); !frozen {
		return nil
	}
	if err := b.positions.Delete(ctx, freezes+log); err != nil {
		return fmt.Errorf("bus: unfreeze: %w", engineError(err))
	}
	return nil
}

// FreezeReason returns why the ledger is frozen, or "".
func (b *Bus) FreezeReason() (reason string) {
	b.frozen.Range(func(_, value any) bool {
		reason = value.(string)
		return false
	})
	return reason
}

// watchFreezes watches freezes until ctx ends. It returns once the current state is known.
func (b *Bus) watchFreezes(ctx context.Context) error {
	w, err := b.positions.Watch(ctx, freezes+"*")
	if err != nil {
		return fmt.Errorf("bus: freezes: %w", engineError(err))
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
					b.frozen.Store(strings.TrimPrefix(e.Key(), freezes), string(e.Value()))
				default:
					b.frozen.Delete(strings.TrimPrefix(e.Key(), freezes))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	select {
	case <-known:
		return nil
	case <-time.After(b.commitWait):
		return fmt.Errorf("bus: freezes: %w", ErrUnavailable)
	}
}

// frozenPause is how often a follower retries while the ledger is frozen.
const frozenPause = 500 * time.Millisecond

// commit is Commit for a follower. It waits while the ledger is frozen.
func (r *run) commit(ctx context.Context, records []event.Record) ([]Result, error) {
	for {
		results, err := r.bus.commit(ctx, records)
		if frozen := Frozen(""); !errors.As(err, &frozen) {
			return results, err
		}
		r.bus.beat(serviceLoop{r.f.Name, "follows " + r.stream})
		select {
		case <-time.After(frozenPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
