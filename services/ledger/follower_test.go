package ledger

import (
	"context"
	"testing"
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
	v.moved(2)

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

// TestTheIndexRestsUntilSomebodyAsks: records stored meanwhile go in one transaction.
func TestTheIndexRestsUntilSomebodyAsks(t *testing.T) {
	t.Parallel()
	v := newFollower(Deps{Bus: bustest.Start(t).Bus})
	decoded := make(chan []extract.Item)
	var got []extract.Item
	ended := make(chan error)
	go func() {
		var err error
		got, err = v.gather(ledgertest.Anyone(t), time.Hour, v.hurry, decoded)
		ended <- err
	}()
	for seq := range uint64(5) {
		decoded <- extract.Decode([]event.Stored{{Sequence: seq}})
	}
	select {
	case <-ended:
		t.Fatal("it did not rest")
	case <-time.After(20 * time.Millisecond):
	}
	v.want()
	v.want() // as every waiter does
	require.NoError(t, <-ended)
	require.Len(t, got, 5)
	go func() {
		var err error
		got, err = v.gather(ledgertest.Anyone(t), time.Nanosecond, nil, decoded)
		ended <- err
	}()
	decoded <- make([]extract.Item, index.MaxBatch)
	require.NoError(t, <-ended, "the rest is over and there is something")
	require.Len(t, got, index.MaxBatch)
	short, cancel := context.WithCancel(ledgertest.Anyone(t))
	cancel()
	_, err := v.gather(short, time.Hour, nil, decoded)
	require.ErrorIs(t, err, context.Canceled)
}
