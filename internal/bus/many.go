package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/event"
)

// maxConcurrentGets is how many records GetMany reads concurrently.
const maxConcurrentGets = 16

// GetMany returns the ledger records of some sequences, in the order requested. A missing
// record has only its sequence: its Wire is empty, which no stored record's is.
func (b *Bus) GetMany(ctx context.Context, seqs []uint64) ([]event.Stored, error) {
	out := make([]event.Stored, len(seqs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentGets)
	for i, seq := range seqs {
		g.Go(func() (err error) {
			if out[i], err = b.Get(ctx, seq); errors.Is(err, ErrNotFound) {
				out[i], err = event.Stored{Sequence: seq}, nil
			}
			return err
		})
	}
	return out, g.Wait()
}

// LastOf returns the existing ledger records of some subjects, all as of one moment.
func (b *Bus) LastOf(ctx context.Context, subjects ...string) (found []event.Stored, err error) {
	return retry(ctx, func(ctx context.Context) ([]event.Stored, error) {
		return b.lastOf(ctx, event.StreamLedger, wired(b.cfg.Realm, subjects))
	})
}

// lastOf returns the last records of subjects on the wire, and with an error those that it
// has found so far.
func (b *Bus) lastOf(ctx context.Context, stream string, subjects []string) (found []event.Stored, err error) {
	answers, err := jetstreamext.GetLastMsgsFor(ctx, b.js, b.cfg.Realm.Stream(stream), subjects)
	if err != nil {
		return nil, fmt.Errorf("bus: read: %w", engineError(err))
	}
	complete := false // a list truncated by a lost connection ends like any other
	for m, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return found, fmt.Errorf("bus: read: %w", engineError(err))
		}
		complete = m.Header.Get("Nats-Num-Pending") == "0"
		found = append(found, event.ReadStored(b.cfg.Realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time))
	}
	if !complete {
		return found, fmt.Errorf("bus: read: no answer, or only a part of it: %w", ErrUnavailable)
	}
	return found, nil
}

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
