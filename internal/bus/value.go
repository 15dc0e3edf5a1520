package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// ErrChanged means that a value was replaced since it was read.
var ErrChanged = errors.New("the value was replaced meanwhile")

// Value returns the value that a service keeps under a key, and its revision; nil and 0 if
// there is none. A value is not a record: only its last state is stored. A key must not be
// the name of a follower, under which its position is stored.
func (b *Bus) Value(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	e, err := b.positions.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("bus: read %s: %w", key, engineError(err))
	}
	return e.Value(), e.Revision(), nil
}

// SaveValue replaces a value that was read at a revision, and returns when the new one is
// on disk, or [ErrChanged].
func (b *Bus) SaveValue(ctx context.Context, key string, value []byte, revision uint64) error {
	_, err := b.positions.Update(ctx, key, value, revision)
	if isTaken(err) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("bus: save %s: %w", key, engineError(err))
	}
	return nil
}

// ValueKeys returns the keys of the values whose keys begin with prefix and a dot.
func (b *Bus) ValueKeys(ctx context.Context, prefix string) (keys []string, err error) {
	found, err := b.positions.ListKeysFiltered(ctx, prefix+".*")
	if err != nil {
		return nil, fmt.Errorf("bus: keys of %s: %w", prefix, engineError(err))
	}
	for key := range found.Keys() {
		keys = append(keys, key)
	}
	return keys, nil
}

// put stores a value that has only one writer, if the disk has room.
func (b *Bus) put(ctx context.Context, key, value string) error {
	if err := b.roomFor(0); err != nil {
		return err
	}
	if _, err := b.positions.PutString(ctx, key, value); err != nil {
		return fmt.Errorf("bus: save %s: %w", key, engineError(err))
	}
	return nil
}

// Position returns the sequence through which a service has handled everything, or 0 if it
// is unknown or beyond the end of this ledger: reading again costs time, skipping loses
// records.
func (b *Bus) Position(ctx context.Context, service string) (uint64, error) {
	raw, _, err := b.Value(ctx, service)
	if err != nil || raw == nil {
		return 0, err
	}
	seq, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("bus: position of %s: %w", service, err)
	}
	head, err := b.Head(ctx)
	if err != nil {
		return 0, err
	}
	if seq > head {
		b.cfg.Log.Error("saved position is beyond the end of the ledger; reading from the start", zap.String("service", service), zap.Uint64("position", seq), zap.Uint64("head", head))
		return 0, nil
	}
	return seq, nil
}

// SavePosition saves the position of a service.
func (b *Bus) SavePosition(ctx context.Context, service string, seq uint64) error {
	return b.put(ctx, service, strconv.FormatUint(seq, 10))
}

// checkpoints is the key prefix of a second copy of each log's last checkpoint, stored
// beside the stream that it covers: a tree restored from a backup is older than this copy.
const checkpoints = "checkpoint"

// SaveCheckpoint stores the last signed checkpoint of a log under the id of its key.
func (b *Bus) SaveCheckpoint(ctx context.Context, log, signed string) error {
	return b.put(ctx, checkpoints+"."+log, signed)
}

// Checkpoints returns the stored checkpoints by the ids of their keys.
func (b *Bus) Checkpoints(ctx context.Context) (map[string]string, error) {
	keys, err := b.ValueKeys(ctx, checkpoints)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range keys {
		signed, _, err := b.Value(ctx, key)
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(key, checkpoints+".")] = string(signed)
	}
	return out, nil
}
