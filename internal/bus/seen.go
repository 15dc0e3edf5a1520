package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// keySeen is the key of the times at which the desks were last seen: beside the
// positions, and like them a hint.
const keySeen = "desks-seen"

// KeepSeen stores when each desk was last seen.
func (b *Bus) KeepSeen(ctx context.Context, seen map[string]time.Time) error {
	raw, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("bus: seen: %w", err)
	}
	if _, err := b.positions.Put(ctx, keySeen, raw); err != nil {
		return fmt.Errorf("bus: seen: %w", err)
	}
	return nil
}

// Seen returns the stored times, or an empty map.
func (b *Bus) Seen(ctx context.Context) (map[string]time.Time, error) {
	seen := map[string]time.Time{}
	e, err := b.positions.Get(ctx, keySeen)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return seen, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bus: seen: %w", err)
	}
	if err := json.Unmarshal(e.Value(), &seen); err != nil {
		return nil, fmt.Errorf("bus: seen: %w", err)
	}
	return seen, nil
}

// Broadcast publishes a message to the current subscribers of a subject, once and without
// storing it: for what the ledger already holds.
func (b *Bus) Broadcast(subject string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bus: broadcast: %w", err)
	}
	if streamOf(subject) != "" {
		return fmt.Errorf("bus: broadcast: %s is kept", subject)
	}
	if err := b.nc.Publish(b.cfg.Realm.Wire(subject), raw); err != nil {
		return fmt.Errorf("bus: broadcast: %w", err)
	}
	return nil
}
