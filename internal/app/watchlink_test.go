package app_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// cable is a TCP connection to the server that can be cut: nothing passes any
// more, and nobody closes anything.
type cable struct {
	net.Listener
	mu   sync.Mutex
	cond *sync.Cond
	cut  bool
}

func newCable(t *testing.T, server string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{Listener: l}
	c.cond = sync.NewCond(&c.mu)
	t.Cleanup(func() { c.set(false); l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				near.Close()
				continue
			}
			go c.carry(near, far)
			go c.carry(far, near)
		}
	}()
	return c
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	c.cut = cut
	c.mu.Unlock()
	c.cond.Broadcast()
}

func (c *cable) carry(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		c.mu.Lock()
		for c.cut {
			c.cond.Wait()
		}
		c.mu.Unlock()
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// watched is a watch under way.
type watched struct {
	status chan client.WatchStatus
	shown  chan string
	ended  chan error
}

func follow(t *testing.T, c *client.Client, screen string, now func() time.Time) watched {
	t.Helper()
	w := watched{make(chan client.WatchStatus, 100), make(chan string, 100), make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ended <- c.WatchWithStatus(ctx, duty, screen, 0, now, func(_ *event.Escalated, row api.EscalationRow) error {
			w.shown <- row.Escalation
			return nil
		}, func(s client.WatchStatus) { w.status <- s })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func next[T any](t *testing.T, from chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(waitLimit):
		require.Fail(t, "not told: "+what)
	}
	return v
}

// A connection that dies silently is reported, and so is its return; escalations that
// came meanwhile are shown, and none counts as shown that was not.
func TestWatch_ReportsALostConnection(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	line := newCable(t, w.app.NATSAddr()[len("nats://"):])
	c, err := client.Dial("nats://"+line.Addr().String(), waitLimit, client.WatchOptions(waitLimit)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	screen := follow(t, c, "hall", w.clock.Now)
	first := w.tell("first")
	require.Equal(t, first, next(t, screen.shown, "what comes"))

	line.set(true)
	require.Equal(t, client.WatchLost, next(t, screen.status, "that the connection is lost"))
	meanwhile := w.tell("meanwhile")
	require.Empty(t, screen.shown)
	line.set(false)
	require.Equal(t, client.WatchBack, next(t, screen.status, "that it is back"))
	// An answer that was lost may show one again, never leave one out.
	for shown := ""; shown != meanwhile; {
		shown = next(t, screen.shown, "what came meanwhile")
		require.Contains(t, []string{first, meanwhile}, shown)
	}
}

// Two screens of one name are told of each other, and when one has gone.
func TestWatch_ReportsAnotherScreenOfItsName(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	one := follow(t, w.dial(), "hall", w.clock.Now)
	follow(t, w.dial(), "wall", w.clock.Now)
	second := w.dial()
	two := follow(t, second, "hall", w.clock.Now)
	require.Equal(t, client.WatchShared, next(t, one.status, "of the second"))
	require.Equal(t, client.WatchShared, next(t, two.status, "of the first"))
	second.Close()
	require.ErrorIs(t, next(t, two.ended, "its end"), client.ErrUnreachable)
	require.Equal(t, client.WatchAlone, next(t, one.status, "that the second has gone"))
}

// A screen whose credential is revoked says so, and ends.
func TestWatch_EndsWhenItsCredentialIsRevoked(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	c := g.as(identity.Desk, duty)
	screen := follow(t, c, "wall", time.Now)
	require.Eventually(t, func() bool { // it watches
		desks, err := c.Desks(t.Context())
		return err == nil && len(desks.Screens) > 0
	}, waitLimit, 20*time.Millisecond)
	require.NoError(t, g.folder.Revoke(identity.Desk, duty, time.Now()))
	require.ErrorContains(t, next(t, screen.ended, "the end"), "the credential was revoked")
}
