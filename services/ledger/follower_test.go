package ledger

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// A query waits for an index within reach; one that is far behind answers at once, and
// states how far it goes.
func TestAnIndexThatIsFarBehind(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	for n := 1; n <= 5; n++ {
		commit(t, env, ledgertest.Escalated(n, nil))
	}
	x, err := index.Open(ledgertest.Anyone(t), t.TempDir())
	require.NoError(t, err)
	defer x.Close() // a test's
	v := newFollower(Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine), Log: env.Log})
	v.index.Store(x)
	v.setPosition(2)

	v.reach = 3
	ctx, cancel := context.WithTimeout(ledgertest.Anyone(t), 100*time.Millisecond)
	defer cancel()
	_, err = v.escalations(ctx, api.Query{})
	require.ErrorIs(t, err, context.DeadlineExceeded, "three records: it waits")

	v.reach = 2
	require.Eventually(t, func() bool { // a busy machine may need as long as that for one
		began := time.Now()
		answer, err := v.escalations(ledgertest.Anyone(t), api.Query{})
		require.NoError(t, err)
		require.EqualValues(t, 2, answer.Through)
		return time.Since(began) < catchUpTimeout
	}, time.Minute, time.Millisecond, "it does not wait")
}

// The index rests until somebody asks: records stored meanwhile go in one transaction.
func TestFollower_RestsUntilSomebodyAsks(t *testing.T) {
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
		got, err := f.gather(t.Context(), time.Hour, f.hurry, decoded)
		require.NoError(t, err)
		require.Len(t, got, 5)
		require.Equal(t, time.Hour, time.Since(began), "nobody asked")

		began = time.Now()
		go func() {
			decoded <- extract.Decode([]event.Stored{{Sequence: 5}})
			f.requestIndexing()
			f.requestIndexing() // as every waiter does
		}()
		got, err = f.gather(t.Context(), time.Hour, f.hurry, decoded)
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
