package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// kept is the key prefix of values that services keep.
const kept = "kept."

// ErrChanged means that a value was replaced since it was read.
var ErrChanged = errors.New("the value was replaced meanwhile")

// Kept returns a value that a service keeps, and its revision; nil and 0 if there is
// none. A value is not a record: only its last state is stored.
func (b *Bus) Kept(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	e, err := b.positions.Get(ctx, kept+key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("bus: read %s: %w", key, engineError(err))
	}
	return e.Value(), e.Revision(), nil
}

// Keep replaces a value that was read at a revision, and returns when the new one is on
// disk, or [ErrChanged].
func (b *Bus) Keep(ctx context.Context, key string, value []byte, revision uint64) error {
	_, err := b.positions.Update(ctx, kept+key, value, revision)
	if isTaken(err) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("bus: keep %s: %w", key, engineError(err))
	}
	return nil
}

// KeptKeys returns the keys of the values whose keys begin with prefix and a dot.
func (b *Bus) KeptKeys(ctx context.Context, prefix string) (keys []string, err error) {
	found, err := b.positions.ListKeysFiltered(ctx, kept+prefix+".*")
	if err != nil {
		return nil, fmt.Errorf("bus: keys of %s: %w", prefix, engineError(err))
	}
	for key := range found.Keys() {
		keys = append(keys, strings.TrimPrefix(key, kept))
	}
	return keys, nil
}
