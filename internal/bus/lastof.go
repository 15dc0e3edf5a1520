package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// LastOf returns the existing ledger records of some subjects, all as of one moment.
func (b *Bus) LastOf(ctx context.Context, subjects ...string) (found []event.Stored, err error) {
	return again(ctx, func(ctx context.Context) ([]event.Stored, error) { return b.lastOf(ctx, subjects) })
}

func (b *Bus) lastOf(ctx context.Context, subjects []string) (found []event.Stored, err error) {
	answers, err := jetstreamext.GetLastMsgsFor(ctx, b.js, b.cfg.Realm.Stream(event.StreamLedger), wired(b.cfg.Realm, subjects))
	if err != nil {
		return nil, fmt.Errorf("bus: read: %w", engineError(err))
	}
	whole := false // a list truncated by a lost connection ends like any other
	for m, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("bus: read: %w", engineError(err))
		}
		whole = m.Header.Get("Nats-Num-Pending") == "0"
		found = append(found, event.ReadStored(b.cfg.Realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time))
	}
	if !whole {
		return nil, fmt.Errorf("bus: read: no answer, or only a part of it: %w", ErrUnavailable)
	}
	return found, nil
}
