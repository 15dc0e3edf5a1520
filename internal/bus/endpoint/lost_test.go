package endpoint_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
)

// Messages published without a reply subject get no answer, so dropped ones are counted.
// With a reply subject the sender is told.
func TestServe_DroppedPublishIsCounted(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	defer end()
	const limit = 4
	bustest.Background(t, func(ctx context.Context) error {
		return env.Endpoints.Serve(ctx, "shares", endpoint.Endpoint{
			Name: "take", Subject: "take.*", Limit: limit, Party: func(r endpoint.Request) string { return r.Subject },
			Answer: func(_ context.Context, r endpoint.Request) (any, error) {
				if r.Subject == "take.slow" {
					<-ended
				}
				return "taken", nil
			},
		})
	})
	eventually(t, "the endpoint answers", func() bool {
		_, err := env.Conn.Request("take.other", nil, time.Second)
		return err == nil
	})
	for range 3 * limit {
		require.NoError(t, env.Conn.Publish("take.slow", nil))
	}
	reply, err := env.Conn.Request("take.slow", nil, waitLimit)
	require.NoError(t, err)
	require.Equal(t, "503", reply.Header.Get(endpoint.HeaderErrorCode), "a sender who wants an answer gets one")
	require.EqualValues(t, 3*limit-limit/2, env.Endpoints.Lost())
}
