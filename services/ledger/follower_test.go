package ledger

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// storedBus is a bus on which a number of records are stored.
type storedBus struct {
	Bus
	head uint64
}

func (b storedBus) Head(context.Context) (uint64, error) { return b.head, nil }

func TestCaughtUp_WaitsOnlyForAnIndexWithinReach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(Deps{Bus: storedBus{head: 5}})
		f.index.Store(new(index.Index))
		f.setPosition(2)
		waited := func(reach uint64) time.Duration {
			f.reach = reach
			began := time.Now()
			_, through, err := f.caughtUp(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 2, through, "the answer states how far it goes")
			return time.Since(began)
		}
		require.Equal(t, catchUpTimeout, waited(3), "three records behind: it waits")
		require.Zero(t, waited(2), "too far behind: it answers at once")
	})
}

// The index rests until somebody asks: records stored meanwhile go in one transaction.
func TestFollower_RestsUntilAQueryWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(Deps{})
		decoded := make(chan []extract.Item)
		go func() {
			for seq := range uint64(5) {
				decoded <- extract.Decode([]event.Stored{{Sequence: seq}})
			}
		}()
		began := time.Now()
		got, err := f.gather(t.Context(), time.Hour, f.urgent, decoded)
		require.NoError(t, err)
		require.Len(t, got, 5)
		require.Equal(t, time.Hour, time.Since(began), "nobody asked")

		began = time.Now()
		go func() {
			decoded <- extract.Decode([]event.Stored{{Sequence: 5}})
			f.requestIndexing()
			f.requestIndexing() // as every waiter does
		}()
		got, err = f.gather(t.Context(), time.Hour, f.urgent, decoded)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Zero(t, time.Since(began))

		go func() { decoded <- make([]extract.Item, index.MaxBatch) }()
		got, err = f.gather(t.Context(), time.Nanosecond, nil, decoded)
		require.NoError(t, err, "the rest is over and there is something")
		require.Len(t, got, index.MaxBatch)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = f.gather(ended, time.Hour, nil, decoded)
		require.ErrorIs(t, err, context.Canceled)
	})
}
