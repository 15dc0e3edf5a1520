package listener

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection that its Listener may close to make room for others.
//
// It embeds the interface and not the *net.TCPConn, so that all data passes Read and
// Write.
type Conn struct {
	net.Conn
	l             *Listener
	peer          *peer
	opened        time.Time
	active        atomic.Int64 // when data last passed, in nanoseconds since its listener's start
	heard         atomic.Bool
	authenticated atomic.Bool
	authCheck     atomic.Pointer[func() bool]

	stage   stage         // l.mu
	element *list.Element // in the stage's list, nil if closed; l.mu

	once sync.Once
	err  error // from Close
}

// Address returns the peer's address as the bounds count it.
func (c *Conn) Address() netip.Prefix { return c.peer.address }

// MarkAuthenticated marks the peer as authenticated.
func (c *Conn) MarkAuthenticated() {
	if !c.authenticated.Swap(true) {
		c.l.promote(c, authenticated)
	}
}

// AuthenticatedBy sets a check for whether the peer has authenticated, which the
// listener calls before it closes the connection as unauthenticated.
func (c *Conn) AuthenticatedBy(check func() bool) { c.authCheck.Store(&check) }

// Authenticated reports whether the peer has authenticated.
func (c *Conn) Authenticated() bool {
	if c.authenticated.Load() {
		return true
	}
	if check := c.authCheck.Load(); check == nil || !(*check)() {
		return false
	}
	c.MarkAuthenticated()
	return true
}

// reached returns the stage that a connection last recorded at one has reached since.
func (c *Conn) reached(at stage) stage {
	switch {
	case at == authenticated || c.Authenticated():
		return authenticated
	case at == silent && (c.heard.Load() || hasUnread(c.Conn)):
		return heard
	}
	return at
}

// Read reads and records activity.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	c.touch(n)
	return n, err
}

// Write writes and records activity.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.touch(n)
	return n, err
}

func (c *Conn) touch(n int) {
	if n > 0 {
		c.active.Store(c.l.elapsed())
	}
}

// Close frees the place of the connection. It may be called more than once.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.err = c.Conn.Close()
		c.l.remove(c)
	})
	return c.err
}

// CloseWrite shuts down the writing side, if the underlying connection can.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Of returns the Conn under a connection, which may be encrypted, or nil.
func Of(nc net.Conn) *Conn {
	if encrypted, ok := nc.(*tls.Conn); ok {
		nc = encrypted.NetConn()
	}
	c, _ := nc.(*Conn)
	return c
}
