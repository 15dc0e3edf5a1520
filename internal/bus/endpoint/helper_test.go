package endpoint_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// waitLimit is how long tests wait for something that must happen, even on a busy machine.
const waitLimit = 60 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, waitLimit, 5*time.Millisecond, what)
}

func accepted(i int) event.Record {
	return event.RawRecord(fmt.Sprintf("incident.accepted.op.inc%d.r%d", i, i), time.Unix(0, 0), "", []byte("{}"))
}

// handle is a handler without state.
type handle func(context.Context, event.Stored) ([]event.Record, error)

func (h handle) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	return h(ctx, in)
}
