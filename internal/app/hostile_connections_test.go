package app_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Strangers hold and renew more connections than both ports accept. An authenticated
// client keeps a connection from the same address, and new clients get in.
func TestConnections_StrangersCannotLockOutClients(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(cfg *app.Config) { cfg.Connections.Total, cfg.Connections.PerAddress = 12, 8 })
	disconnected := make(chan error, 1)
	steady, err := nats.Connect(g.app.NATSAddr(), nats.UserCredentials(g.creds(identity.Operator, "grid-east")),
		nats.NoReconnect(), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { disconnected <- err }))
	require.NoError(t, err)
	defer steady.Close()
	token := g.token(identity.Operator, "grid-east")
	keepAlive := &http.Client{Transport: &http.Transport{}}
	defer keepAlive.CloseIdleConnections()
	report := func(name string) {
		t.Helper()
		status, answer := g.http(keepAlive, token, "POST", "/v1/reports", string(cloudEvent("initial", "grid-east", name, "r1", plain)))
		require.Equal(t, http.StatusOK, status, answer)
	}
	report("before")

	var idle []net.Conn
	t.Cleanup(func() {
		for _, c := range idle {
			_ = c.Close()
		}
	})
	for i := range 60 {
		for _, address := range []string{strings.TrimPrefix(g.app.NATSAddr(), "nats://"), strings.TrimPrefix(g.app.HTTPAddr(), "http://")} {
			c, err := net.DialTimeout("tcp", address, waitLimit)
			require.NoError(t, err)
			if idle = append(idle, c); i%2 == 0 {
				_, _ = c.Write([]byte("P")) // the first byte of a verb, in both protocols
			}
		}
	}
	report("during")
	newcomer := g.as(identity.Operator, "grid-east")
	_, err = newcomer.Report(t.Context(), "grid-east", cloudEvent("initial", "grid-east", "newcomer", "r1", plain))
	require.NoError(t, err, "a newcomer of the address that is full is taken")
	_, err = steady.Request("report.grid-east", cloudEvent("initial", "grid-east", "steady", "r1", plain), waitLimit)
	require.NoError(t, err)
	select {
	case err := <-disconnected:
		t.Fatalf("a connection that has authenticated was closed for strangers: %v", err)
	default:
	}
	status, metrics := g.http(keepAlive, g.token(identity.Admin, "admin"), "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, metrics, "tocsin_connections_closed_total{port=\"nats\",reason=\"room\"} 0\n")
	require.NotContains(t, metrics, "tocsin_connections_closed_total{port=\"http\",reason=\"room\"} 0\n")
	require.Contains(t, metrics, "tocsin_services_overrun_total 0\n")
	require.Contains(t, metrics, "tocsin_lost_requests_total{exercise=\"false\"} 0\n")
	closed := func() (n int) {
		for _, c := range idle {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return closed() >= len(idle)-2*8 }, waitLimit, time.Millisecond, "each port has 8 connections of an address at most")
}
