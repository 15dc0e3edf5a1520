package bus

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/event"
)

// getsAtOnce is how many records GetMany reads concurrently.
const getsAtOnce = 16

// GetMany returns the ledger records of some sequences, in the order requested. A missing
// record has only its sequence: its Wire is empty, which no stored record's is.
func (b *Bus) GetMany(ctx context.Context, seqs []uint64) ([]event.Stored, error) {
	out := make([]event.Stored, len(seqs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(getsAtOnce)
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
