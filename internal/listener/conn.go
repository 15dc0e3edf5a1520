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
	l      *Listener
	peer   *peer
	since  time.Time
	active atomic.Int64 // when data last passed, in nanoseconds since its listener's start
	heard  atomic.Bool
	proved atomic.Bool
	proof  atomic.Pointer[func() bool]

	stage stage         // l.mu
	place *list.Element // in the stage's list, nil if closed; l.mu

	once sync.Once
	err  error // from Close
}

// Address returns the peer's address as the bounds count it.
func (c *Conn) Address() netip.Prefix { return c.peer.address }

// Prove marks the peer as authenticated.
func (c *Conn) Prove() {
	if !c.proved.Swap(true) {
		c.l.promote(c, proven)
	}
}

// ProvenBy sets a check for whether the peer has authenticated, which the listener calls
// before it closes the connection as unproven.
func (c *Conn) ProvenBy(proof func() bool) { c.proof.Store(&proof) }

// Proven reports whether the peer has authenticated.
func (c *Conn) Proven() bool {
	if c.proved.Load() {
		return true
	}
	if proof := c.proof.Load(); proof == nil || !(*proof)() {
		return false
	}
	c.Prove()
	return true
}

// reached returns the stage that a connection last recorded at one has reached since.
func (c *Conn) reached(at stage) stage {
	switch {
	case at == proven || c.Proven():
		return proven
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
		c.active.Store(c.l.age())
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
