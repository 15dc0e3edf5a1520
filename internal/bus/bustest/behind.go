package bustest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
)

// slow is a handler without output that handles at most pace records a second until
// released.
type slow struct {
	released <-chan struct{}
	ticks    *time.Ticker
}

// pace is enough to show that the service does not waitLimit, and far too slow for the load.
const pace = 200

func (s slow) Handle(ctx context.Context, _ event.Stored) ([]event.Record, error) {
	select {
	case <-s.ticks.C:
		return nil, nil
	case <-s.released:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// FallBehind runs a service that falls behind the ledger, as under a load too high for
// it. It catches up when catchUp is called.
func FallBehind(t testing.TB, e *Env) (catchUp func()) {
	t.Helper()
	released, ticks := make(chan struct{}), time.NewTicker(time.Second/pace)
	catchUp = sync.OnceFunc(func() { close(released); ticks.Stop() })
	t.Cleanup(catchUp)
	Background(t, func(ctx context.Context) error {
		return e.Bus.Follow(ctx, bus.Follower{
			Name: "slow", Subjects: []string{"rules.slow.>"}, Handler: slow{released, ticks},
			Key: func(s event.Stored) string { return s.Subject },
		})
	})
	const more = 8000 // more than are read ahead
	n := 0
	require.Eventually(t, func() bool { // once the service has caught up with the ledger
		records := make([]event.Record, more)
		for i := range records {
			n++
			records[i] = event.RawRecord(fmt.Sprintf("rules.slow.%d", n), time.Unix(0, 0), "", []byte(`{}`))
		}
		Store(t, e.Bus, records)
		turn, err := e.Endpoints.Admit(t.Context(), endpoint.Work{Party: "bustest", Cost: 1, Wait: time.Nanosecond})
		turn.Leave()
		return err != nil
	}, waitLimit, 10*time.Millisecond)
	return catchUp
}
