package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Subjects returns the subjects of the ledger records that match a filter, sorted, all as
// of one moment. The filter must be narrow, such as one incident's: the engine answers
// with the whole list.
func (b *Bus) Subjects(ctx context.Context, filter string) ([]string, error) {
	info, err := b.ledger.Info(ctx, jetstream.WithSubjectFilter(b.cfg.Realm.Wire(filter)))
	if err != nil {
		return nil, fmt.Errorf("bus: subjects of %s: %w", filter, err)
	}
	out := slices.Collect(maps.Keys(info.State.Subjects))
	for i := range out {
		out[i] = b.cfg.Realm.Plain(out[i])
	}
	slices.Sort(out)
	return out, nil
}
