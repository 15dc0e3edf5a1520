package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// When what is written does not come back, /readyz fails and says why, and recovers with
// the disk.
func TestReadyz_FailsWhenNothingIsStored(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.awaitHealthy()
	nc, err := nats.Connect(w.app.NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	bucket, err := js.Stream(t.Context(), "KV_POSITIONS")
	require.NoError(t, err)
	config := bucket.CachedInfo().Config
	require.EqualValues(t, 1, config.MaxMsgsPerSubject, "a history of one")
	size := config.MaxMsgSize
	config.MaxMsgSize = 1 // the engine takes no write
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)

	w.await("it is not ready", func() bool {
		status, h := w.health("/readyz")
		return status != http.StatusOK && strings.Contains(h.Status, "nothing was stored since ") &&
			strings.Contains(h.Status, "message size exceeds maximum allowed")
	})

	config.MaxMsgSize = size
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	w.awaitHealthy()
}
