package app_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// BenchmarkRevocation measures how soon a credential that is revoked is cut off; the
// bound is a second.
func BenchmarkRevocation(b *testing.B) {
	g := startGuarded(b, nil)
	for b.Loop() {
		var p *peer
		require.Eventually(b, func() bool { // its new credential is known
			c, err := nats.Connect(g.app.NATSAddr(), nats.UserCredentials(g.creds(identity.Regulator, "nation")))
			if err != nil {
				return false
			}
			c.Close()
			p = g.peer(g.creds(identity.Regulator, "nation"))
			return true
		}, waitLimit, 10*time.Millisecond)
		_, err := p.Request(api.EndpointLog, []byte("{}"), waitLimit)
		require.NoError(b, err)
		began := time.Now()
		require.NoError(b, g.folder.Revoke(identity.Regulator, "nation", time.Now()))
		<-p.closed
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "cut-off-ms")
		_, err = g.folder.Rotate(identity.Regulator, "nation", nil, time.Now(), 0)
		require.NoError(b, err)
	}
}
