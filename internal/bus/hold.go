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

// holds is the beginning of the keys where it stands why nothing may be written to
// the ledger, for every process that would: by the log that says so.
const holds = "held."

// Hold keeps every process from writing to the ledger until the log that says so
// releases it: new records would take the places of records that it certified.
// Commit answers with why.
func (b *Bus) Hold(ctx context.Context, log, why string) error {
	b.held.Store(log, why)
	if _, err := b.positions.PutString(ctx, holds+log, why); err != nil {
		return fmt.Errorf("bus: hold: %w", engineError(err))
	}
	return nil
}

// Release takes back what a log said.
func (b *Bus) Release(ctx context.Context, log string) error {
	if _, held := b.held.LoadAndDelete(log); !held {
		return nil
	}
	if err := b.positions.Delete(ctx, holds+log); err != nil {
		return fmt.Errorf("bus: release: %w", engineError(err))
	}
	return nil
}

// Held is why nothing may be written to the ledger, or "".
func (b *Bus) Held() (why string) {
	b.held.Range(func(_, value any) bool {
		why = value.(string)
		return false
	})
	return why
}

// watchHeld follows what the logs say, until ctx ends. It returns when it knows how
// it stands.
func (b *Bus) watchHeld(ctx context.Context) error {
	w, err := b.positions.Watch(ctx, holds+"*")
	if err != nil {
		return fmt.Errorf("bus: held: %w", engineError(err))
	}
	known := make(chan struct{})
	go func() {
		defer w.Stop() //nolint:errcheck // fails only where the connection is gone
		for {
			select {
			case e, open := <-w.Updates():
				switch {
				case !open:
					return
				case e == nil: // what there was has come
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

// heldPause is how often a follower asks whether it may write again.
const heldPause = 500 * time.Millisecond

// send is Send for a follower. It waits while nothing may be written.
func (r *run) send(ctx context.Context, records []event.Record) (*Sent, error) {
	for {
		s, err := r.bus.send(ctx, records)
		if closed := Closed(""); !errors.As(err, &closed) {
			return s, err
		}
		r.bus.beat(heart{r.f.Name, "follows " + r.stream})
		select {
		case <-time.After(heldPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
