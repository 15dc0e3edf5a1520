// Package bustest starts a real server and a bus for a test. The server lives
// in the process, keeps its files in the test's folder and takes no network
// connections unless asked; both end with the test.
package bustest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// waitLimit is how long tests wait for something that must happen, even on a busy machine.
const waitLimit = 60 * time.Second

// Env is a running server with a bus and a connection of its own.
type Env struct {
	Server    *natsd.Server
	Conn      *nats.Conn
	Bus       *bus.Bus
	Endpoints *endpoint.Server
	Log       *zap.Logger
}

// Start starts a server and a bus on it, with short pauses between retries.
func Start(t testing.TB) *Env { return StartIn(t, t.TempDir(), clock.System{}) }

// StartIn is Start with a folder that outlives the server, and a clock.
func StartIn(t testing.TB, dir string, c clock.Clock) *Env {
	return StartRealm(t, dir, c, event.Real)
}

// StartRealm is StartIn with a bus of the given realm.
func StartRealm(t testing.TB, dir string, c clock.Clock, realm event.Realm) *Env {
	t.Helper()
	log := logTo(t)
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: dir, Log: log})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return Join(t, &Env{Server: s, Log: log}, c, realm)
}

// Join opens another bus on a running server, over a connection of its own.
func Join(t testing.TB, e *Env, c clock.Clock, realm event.Realm) *Env {
	t.Helper()
	nc, err := e.Server.Connect(natsd.ConnectOptions("test")...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	b, err := bus.Open(t.Context(), nc, bus.Config{
		Realm: realm, Clock: c, Log: e.Log, Engine: e.Server,
		Pauses: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond},
	})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	endpoints := endpoint.New(b, endpoint.Config{Log: e.Log})
	t.Cleanup(endpoints.Close)
	return &Env{Server: e.Server, Conn: nc, Bus: b, Endpoints: endpoints, Log: e.Log}
}

// Background runs f until the test ends and fails the test if it returns an
// error other than the context's.
func Background(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(waitLimit):
			t.Error("a service did not stop")
		}
	})
}

// Answers waits until an endpoint answers. A service opens its endpoints in order, after it
// has begun to answer $SRV.PING.
func Answers(t testing.TB, e *Env, subject string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := e.Conn.Request(subject, nil, time.Second); return err == nil }, waitLimit, 5*time.Millisecond)
}

// Store commits records in parts and retries a part that a busy machine did not store
// within the time limit of Commit, whose outcome is then unknown.
func Store(t testing.TB, b *bus.Bus, records []event.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*waitLimit)
	defer cancel()
	for part := range slices.Chunk(records, 500) {
		for _, err := b.Commit(ctx, part); err != nil; _, err = b.Commit(ctx, part) {
			if !errors.Is(err, bus.ErrUnavailable) || ctx.Err() != nil {
				t.Errorf("records are not stored: %v", err)
				return
			}
		}
	}
}

// JetStream returns the engine's own interface, for tests that bypass the bus.
func JetStream(t testing.TB, e *Env) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(e.Conn)
	require.NoError(t, err)
	return js
}

// BatchesInMemory returns the folder in memory where the engine stages the batches of a
// stream. Its tests need Linux with /dev/shm.
func BatchesInMemory(t testing.TB, dir, stream string) string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "batches"))
	require.NoError(t, err)
	require.Len(t, links, 1, "batches are not staged in memory: is there no /dev/shm?")
	target, err := os.Readlink(links[0])
	require.NoError(t, err)
	require.DirExists(t, target)
	return target
}
