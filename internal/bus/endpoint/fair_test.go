package endpoint_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
)

// named returns the party in a subject.
func named(r endpoint.Request) string { return strings.TrimPrefix(r.Subject, "ask.") }

// TestServe_OnePartyCannotTakeEveryPlace: a party that has used its share of requests in
// flight is refused, and another one is answered meanwhile.
func TestServe_OnePartyCannotTakeEveryPlace(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	const limit = 8
	var mu sync.Mutex
	held := 0
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	defer end()
	bustest.Background(t, func(ctx context.Context) error {
		return env.Endpoints.Serve(ctx, "shares", endpoint.Endpoint{
			Name: "ask", Subject: "ask.*", Limit: limit, Party: named,
			Answer: func(_ context.Context, r endpoint.Request) (any, error) {
				if r.Subject == "ask.greedy" {
					mu.Lock()
					held++
					mu.Unlock()
					<-ended
				}
				return r.Party, nil
			},
		})
	})
	ask := func(party string) string {
		reply, err := env.Conn.Request("ask."+party, nil, waitLimit)
		if err != nil {
			return err.Error()
		}
		return reply.Header.Get(endpoint.HeaderErrorCode) + string(reply.Data)
	}
	eventually(t, "the endpoint answers", func() bool { return ask("honest") == `"honest"` })
	refused := make(chan *nats.Msg, 4*limit)
	sub, err := env.Conn.ChanSubscribe("refused", refused)
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	for range 4 * limit {
		require.NoError(t, env.Conn.PublishRequest("ask.greedy", "refused", nil))
	}
	for range 4*limit - limit/2 {
		require.Equal(t, "503", next(t, refused).Header.Get(endpoint.HeaderErrorCode))
	}
	// Accepted requests are answered by other goroutines, which may start later.
	taken := func() int {
		mu.Lock()
		defer mu.Unlock()
		return held
	}
	eventually(t, "requests up to its share are being handled", func() bool { return taken() >= limit/2 })
	require.Equal(t, `"honest"`, ask("honest"))
	require.Equal(t, limit/2, taken())
	end()
	for range limit / 2 {
		require.Empty(t, next(t, refused).Header.Get(endpoint.HeaderErrorCode))
	}
}

// TestServe_InventedNames: a client without an identity that uses a new inbox for each
// answer takes no more than the share of all unnamed clients, within which another client
// has room beside one that keeps its inbox.
func TestServe_InventedNames(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	const limit = 16
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	defer end()
	bustest.Background(t, func(ctx context.Context) error {
		return env.Endpoints.Serve(ctx, "shares", endpoint.Endpoint{
			Name: "ask", Subject: "ask.*", Limit: limit,
			Party: func(r endpoint.Request) string {
				if r.Subject == "ask.registered" {
					return "registered"
				}
				return ""
			},
			Answer: func(_ context.Context, r endpoint.Request) (any, error) {
				if r.Subject == "ask.greedy" {
					<-ended
				}
				return "answered", nil
			},
		})
	})
	ask := func(subject string) string {
		reply, err := env.Conn.Request(subject, nil, 5*time.Second)
		if err != nil {
			return err.Error()
		}
		return reply.Header.Get(endpoint.HeaderErrorCode) + string(reply.Data)
	}
	eventually(t, "the endpoint answers", func() bool { return ask("ask.x") == `"answered"` })
	answers := make(chan *nats.Msg, 10*limit)
	sub, err := env.Conn.ChanSubscribe("*.flood", answers)
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	flood := func(n int, inbox func(i int) string) {
		for i := range n {
			require.NoError(t, env.Conn.PublishRequest("ask.greedy", inbox(i), nil))
		}
	}
	refused := func(n int) {
		for range n {
			require.Equal(t, "503", next(t, answers).Header.Get(endpoint.HeaderErrorCode))
		}
	}
	flood(limit, func(int) string { return "one.flood" })
	refused(limit - limit/4)
	require.Equal(t, `"answered"`, ask("ask.another"), "one inbox has half of what the unnamed have")
	flood(2*limit, func(i int) string { return fmt.Sprintf("%d.flood", i) })
	refused(2*limit - limit/4)
	require.Equal(t, `"answered"`, ask("ask.registered"), "a registered party is answered, whatever names the others invent")
	end()
}

// TestServe_MemoryIsShared: large requests in flight are bounded by their size.
func TestServe_MemoryIsShared(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	defer end()
	bustest.Background(t, func(ctx context.Context) error {
		return env.Endpoints.Serve(ctx, "shares", endpoint.Endpoint{
			Name: "ask", Subject: "ask.*", Limit: 10_000, AnySize: true, Party: named,
			Answer: func(_ context.Context, r endpoint.Request) (any, error) {
				if r.Subject == "ask.greedy" {
					<-ended
				}
				return len(r.Data), nil
			},
		})
	})
	large := make([]byte, 3<<20)
	ask := func() string {
		reply, err := env.Conn.Request("ask.honest", large, waitLimit)
		if err != nil {
			return err.Error()
		}
		return string(reply.Data)
	}
	eventually(t, "the endpoint answers", func() bool { return ask() == fmt.Sprint(len(large)) })
	refused := make(chan *nats.Msg, 1000)
	sub, err := env.Conn.ChanSubscribe("refused", refused)
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	const some = 60
	for range some {
		require.NoError(t, env.Conn.PublishRequest("ask.greedy", "refused", large))
		require.NoError(t, env.Conn.Flush())
	}
	const share = endpoint.MaxMemory / 2 / (3 << 20)
	for range some - share {
		require.Equal(t, "503", next(t, refused).Header.Get(endpoint.HeaderErrorCode))
	}
	require.LessOrEqual(t, env.Endpoints.Memory().Used(), int64(endpoint.MaxMemory/2))
	require.Equal(t, fmt.Sprint(len(large)), ask())
	end()
}

// next returns the next answer.
func next(t *testing.T, answers <-chan *nats.Msg) *nats.Msg {
	t.Helper()
	select {
	case m := <-answers:
		return m
	case <-time.After(waitLimit):
		require.Fail(t, "no answer")
		return nil
	}
}
