package app_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func config(t *testing.T) app.Config {
	return app.Config{Data: t.TempDir(), NATSListen: "127.0.0.1:0", Rulebook: rules(t, "", ""), Clock: clock.NewManual(nine), Log: zap.NewNop()}
}

func TestStart_RefusesUnsafeConfigurations(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for name, row := range map[string]struct {
		change func(*app.Config)
		want   string
	}{
		"NATS for everybody":        {func(c *app.Config) { c.NATSListen = "0.0.0.0:0" }, "only loopback"},
		"HTTP for everybody":        {func(c *app.Config) { c.HTTPListen = ":8080" }, "only loopback"},
		"HTTP on a name":            {func(c *app.Config) { c.HTTPListen = "example.com:80" }, "only loopback"},
		"no address":                {func(c *app.Config) { c.NATSListen = "here" }, "address"},
		"an unknown role":           {func(c *app.Config) { c.Roles = []string{"oracle"} }, `no role "oracle"`},
		"NATS of another machine":   {func(c *app.Config) { c.NATS = "nats://127.0.0.1:4222,nats.example.com:4222" }, "only loopback"},
		"nobody there":              {func(c *app.Config) { c.NATS = "nats://127.0.0.1:1" }, "127.0.0.1:1"},
		"a NATS address in use":     {func(c *app.Config) { c.NATSListen = taken.Addr().String() }, "address already in use"},
		"an HTTP address in use":    {func(c *app.Config) { c.HTTPListen = taken.Addr().String() }, "http: "},
		"an index that cannot be":   {func(c *app.Config) { putFile(t, c.Data, "ledger") }, "ledger: "},
		"a store that cannot be":    {func(c *app.Config) { putFile(t, c.Data, "nats") }, "JetStream"},
		"a folder that cannot hold": {func(c *app.Config) { c.Data = filepath.Join(putFile(t, c.Data, "file"), "x") }, ""},
	} {
		cfg := config(t)
		row.change(&cfg)
		a, err := app.Start(t.Context(), cfg)
		require.ErrorContains(t, err, row.want, name)
		require.Nil(t, a, name)
	}
}

// putFile puts a file where a folder should be.
func putFile(t *testing.T, dir, name string) string {
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	return file
}

func TestLoadRules_RefusesInvalidRules(t *testing.T) {
	t.Parallel()
	_, err := app.LoadRules(t.TempDir(), "")
	require.ErrorContains(t, err, "statute packs")
	_, err = app.LoadRules("", filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "register")
	file := registerWith(t, "id: urumqi-cyberspace", "id: urumqi-x", "level: prefecture, region: \"650100\", languages", "level: county, region: \"650100\", languages")
	_, err = app.LoadRules("", file)
	require.ErrorContains(t, err, file+": $.operators[1].facilities[0]: nobody can receive the duty cn-xj-netsec-2017/unit-to-cyberspace-of-its-level")
}

func TestStop_MayBeCalledTwice(t *testing.T) {
	t.Parallel()
	a, err := app.Start(t.Context(), config(t))
	require.NoError(t, err)
	waited := make(chan error, 1)
	go func() { waited <- a.Wait(context.Background()) }()
	a.Stop()
	a.Stop()
	require.NoError(t, <-waited, "to be stopped is no failure")
	require.Empty(t, a.HTTPAddr())
}

// startOutsideNATS starts a NATS server that is not ours, with its monitoring address.
func startOutsideNATS(t *testing.T, syncAlways bool) (url, monitor string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: syncAlways, NoSigs: true, NoLog: true,
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: -1,
	})
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(waitLimit))
	return s.ClientURL(), "http://" + s.MonitorAddr().String()
}

// On another's NATS evidence is kept only where the server says that it syncs
// every write, or every receipt says that nobody knows.
func TestOutsideNATS_MustSyncEveryWrite(t *testing.T) {
	t.Parallel()
	safe, safeMonitor := startOutsideNATS(t, true)
	unsafe, unsafeMonitor := startOutsideNATS(t, false)
	for name, row := range map[string]struct {
		url, monitor string
		want         string
	}{
		"nobody to ask":              {safe, "", "no monitoring address"},
		"a server that does not":     {unsafe, unsafeMonitor, "does not sync every write"},
		"another server was asked":   {unsafe, safeMonitor, "another server"},
		"nobody answers":             {safe, "http://127.0.0.1:1", "monitoring"},
		"something else answers":     {safe, safeMonitor + "/nowhere", "monitoring"},
		"a server that syncs at all": {safe, safeMonitor, ""},
	} {
		cfg := config(t)
		cfg.NATS, cfg.Monitor, cfg.NATSListen = row.url, row.monitor, "0.0.0.0:4222" // which is not listened on
		a, err := app.Start(t.Context(), cfg)
		if row.want != "" {
			require.ErrorContains(t, err, row.want, name)
			require.ErrorContains(t, err, "unverified-durability", name)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, safe, a.NATSAddr())
		a.Stop()
	}

	for _, row := range []struct{ url, monitor, durability string }{{safe, safeMonitor, ""}, {unsafe, "", "unverified"}} {
		w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Monitor, c.Unverified = row.url, row.monitor, row.monitor == "" })
		r := w.report("initial", at, inc, "r1", onSite+large)
		require.Equal(t, row.durability, r.Durability)
		r = w.send(at, cloudEvent("initial", at, inc, "r1", onSite+large))
		require.Equal(t, event.StatusDuplicate, r.Status)
		require.Equal(t, row.durability, r.Durability)
		require.Equal(t, regional, desks(w.settled().last(t, at, inc)))
	}
}

// One role a process: the pipeline is the same.
func TestRoles_EachInItsOwnProcess(t *testing.T) {
	t.Parallel()
	url, monitor := startOutsideNATS(t, true)
	var w *world
	for _, role := range app.Roles() {
		w = startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Monitor, c.Roles = url, monitor, []string{role} })
	}
	w.report("initial", at, inc, "r1", onSite+grave)
	h := w.settled()
	require.Equal(t, all4, desks(h.last(t, at, inc)))
	require.Equal(t, []string{"accepted", "graded", "escalated", "escalated", "escalated", "escalated"}, w.story(at, inc))
	a, err := w.client.Acknowledge(t.Context(), duty, event.EscalationID(duty, at, inc, "1"), "duty-officer")
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, a.Status)
	require.Len(t, h.rules, len(h.last(t, at, inc).Rules.Packs)+1, "the rules are written once")
}
