package bustest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// stuck is a handler that makes nothing, and waits while it is held.
type stuck struct{ held <-chan struct{} }

func (s stuck) Handle(ctx context.Context, _ event.Stored) ([]event.Record, error) {
	select {
	case <-s.held:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (stuck) Refused(_, _ event.Stored) bool { return false }
func (stuck) Failed(event.Stored)            {}

// FallBehind gives the bus a service that falls behind what is stored, as under a
// load that it cannot follow. It catches up when catchUp is called.
func FallBehind(t testing.TB, e *Env) (catchUp func()) {
	t.Helper()
	held := make(chan struct{})
	catchUp = sync.OnceFunc(func() { close(held) })
	t.Cleanup(catchUp)
	Background(t, func(ctx context.Context) error {
		return e.Bus.Follow(ctx, bus.Follower{
			Name: "stuck", Subjects: []string{"rules.stuck.>"}, Handler: stuck{held},
			Key: func(s event.Stored) string { return s.Subject },
		})
	})
	const more = 8000 // than are read ahead
	n := 0
	require.Eventually(t, func() bool { // once the service is up with the ledger
		records := make([]event.Record, more)
		for i := range records {
			n++
			records[i] = event.RawRecord(fmt.Sprintf("rules.stuck.%d", n), time.Unix(0, 0), "", []byte(`{}`))
		}
		_, err := e.Bus.Commit(t.Context(), records)
		require.NoError(t, err)
		turn, err := e.Bus.Admit(t.Context(), bus.Work{Party: "bustest", Cost: 1})
		turn.Leave()
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)
	return catchUp
}
