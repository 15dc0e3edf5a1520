package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// valuePrefix is the key prefix of values that services keep.
const valuePrefix = "kept."

// ErrChanged means that a value was replaced since it was read.
var ErrChanged = errors.New("the value was replaced meanwhile")

// Value returns a value that a service keeps, and its revision; nil and 0 if there is
// none. A value is not a record: only its last state is stored.
func (b *Bus) Value(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	e, err := b.positions.Get(ctx, valuePrefix+key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("bus: read %s: %w", key, engineError(err))
	}
	return e.Value(), e.Revision(), nil
}

// SaveValue replaces a value that was read at a revision, and returns when the new one is on
// disk, or [ErrChanged].
func (b *Bus) SaveValue(ctx context.Context, key string, value []byte, revision uint64) error {
	_, err := b.positions.Update(ctx, valuePrefix+key, value, revision)
	if isTaken(err) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("bus: keep %s: %w", key, engineError(err))
	}
	return nil
}

// ValueKeys returns the keys of the values whose keys begin with prefix and a dot.
func (b *Bus) ValueKeys(ctx context.Context, prefix string) (keys []string, err error) {
	found, err := b.positions.ListKeysFiltered(ctx, valuePrefix+prefix+".*")
	if err != nil {
		return nil, fmt.Errorf("bus: keys of %s: %w", prefix, engineError(err))
	}
	for key := range found.Keys() {
		keys = append(keys, strings.TrimPrefix(key, valuePrefix))
	}
	return keys, nil
}

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
