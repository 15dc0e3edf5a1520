package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// An index that is within reach is waited for; one that is far behind answers at
// once, and says how far it goes.
func TestAnIndexThatIsFarBehind(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	for n := 1; n <= 5; n++ {
		commit(t, env, told(n, nil))
	}
	x, err := openIndex(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer x.close() //nolint:errcheck // a test's
	v := newView(Deps{Bus: env.Bus, Clock: clock.NewManual(nine), Log: env.Log})
	v.index.Store(x)
	v.moved(2)

	v.reach = 3
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = v.escalations(ctx, event.Query{})
	require.ErrorIs(t, err, context.DeadlineExceeded, "three records: it waits")

	v.reach = 2
	began := time.Now()
	answer, err := v.escalations(t.Context(), event.Query{})
	require.NoError(t, err)
	require.Less(t, time.Since(began), patience)
	require.EqualValues(t, 2, answer.Through)
}
