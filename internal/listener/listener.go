// Package listener bounds how many connections a port holds, in total and for each
// address, before any peer has authenticated.
//
// What it guarantees:
//   - A newcomer is accepted, unless its address opens connections too fast (pace.go).
//     If its address or the port is full, another connection is closed to make room.
//   - Connections are closed in this order: peers that have sent nothing, then peers that
//     have sent something but not authenticated, oldest first; then, of authenticated
//     peers, the one idle for longest. So a peer that authenticates at once keeps its
//     connection, however many others connect and wait, or send a byte now and then.
//   - If an address is full, it loses one of its own; if the port is full, the address
//     with most connections in the stage in question loses one.
//   - A peer that has not authenticated within Config.AuthTimeout is disconnected.
//
// An address is an IPv4 address or an IPv6 network of 64 bits, which one host can use
// freely.
//
// What not to assume: that a connection stays open. It may be closed at any time, and
// the peer connects again.
package listener

import (
	"container/list"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Bounds are the most connections that a port holds; 0 means no bound.
type Bounds struct {
	Total      int
	PerAddress int
}

// Config configures a bounded port.
type Config struct {
	Name   string // name of the port in the log
	Bounds Bounds
	// AuthTimeout is how long a peer may take to authenticate; 0 leaves that to the
	// server of the port.
	AuthTimeout time.Duration
	Clock       clock.Clock // measures durations: clock.Monotonic, except in tests
	Log         *zap.Logger
}

// Listener is a bounded net.Listener.
type Listener struct {
	net.Listener
	cfg             Config
	started         time.Time
	closed          *tally.Tally // connections closed to make room
	unauthenticated *tally.Tally // connections closed because their peers did not authenticate
	tooFast         *tally.Tally // connections closed because their address opens too many a second
	limits          rateLimits   // of Accept

	stopOnce sync.Once
	stop     chan struct{}

	mu       sync.Mutex // guards the fields below, the peers, and the connections' stages
	peers    map[netip.Prefix]*peer
	open     int
	rankings [stages]ranking // peers ranked by their connections in each stage
}

// stage is how far a peer has got on a connection.
type stage int

const (
	silent        stage = iota // nothing
	heard                      // has sent something
	authenticated              // has authenticated
	stages
)

// peer is an address with connections.
type peer struct {
	address netip.Prefix
	conns   [stages]list.List // of *Conn, in the order of reaching the stage
}

// Listen listens on a TCP address.
func Listen(address string, cfg Config) (*Listener, error) {
	inner, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return New(inner, cfg), nil
}

// New bounds the connections of a listener. The caller closes it.
func New(inner net.Listener, cfg Config) *Listener {
	if cfg.Bounds.Total == 0 {
		cfg.Bounds.Total = math.MaxInt
	}
	if cfg.Bounds.PerAddress == 0 {
		cfg.Bounds.PerAddress = math.MaxInt
	}
	l := &Listener{Listener: inner, cfg: cfg, started: cfg.Clock.Now(), stop: make(chan struct{}), peers: map[netip.Prefix]*peer{}}
	warn := func(message string) *tally.Tally {
		return tally.New(func(n int, address string) {
			cfg.Log.Warn(message, zap.String("port", cfg.Name), zap.Int("connections", n), zap.String("last_address", address),
				zap.Int("max_connections", cfg.Bounds.Total), zap.Int("max_per_address", cfg.Bounds.PerAddress))
		})
	}
	l.closed = warn("connections closed to make room for others")
	l.unauthenticated = warn("connections closed before they authenticated")
	l.tooFast = warn("connections closed because an address opens too many a second")
	l.limits = newRateLimits(cfg.Bounds.PerAddress)
	if cfg.AuthTimeout > 0 {
		go l.closeUnauthenticated()
	}
	return l
}

// Accept makes room for the next connection and returns it, a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	nc, address, err := l.next()
	if err != nil {
		return nil, err
	}
	for c, at := l.victim(address); c != nil; c, at = l.victim(address) {
		if reached := c.reached(at); reached > at {
			l.promote(c, reached)
			continue
		}
		l.closed.Add(c.peer.address.String())
		_ = c.Close()
	}
	return l.add(nc, address), nil
}

// next returns the next connection from an address that does not open them too fast.
func (l *Listener) next() (net.Conn, netip.Prefix, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, netip.Prefix{}, err
		}
		address := addressOf(nc.RemoteAddr())
		if l.limits.allow(address, l.cfg.Clock.Now()) {
			return nc, address, nil
		}
		l.tooFast.Add(address.String())
		_ = nc.Close()
	}
}

// Close stops listening. Accepted connections stay open.
func (l *Listener) Close() error {
	l.stopOnce.Do(func() { close(l.stop) })
	return l.Listener.Close()
}

// Open returns the number of open connections.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Closed returns how many connections were closed to make room, because their peers did
// not authenticate in time, and because their address opens too many a second.
func (l *Listener) Closed() (room, unauthenticated, tooFast uint64) {
	return l.closed.Total(), l.unauthenticated.Total(), l.tooFast.Total()
}

// victim returns the connection to close before another one of the address is accepted,
// and its stage; or nil if there is room.
func (l *Listener) victim(address netip.Prefix) (c *Conn, at stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.peers[address]
	if full == nil || full.count() < l.cfg.Bounds.PerAddress {
		if l.open < l.cfg.Bounds.Total {
			return nil, at
		}
		full = nil
	}
	for at = range stages {
		p := full
		if p == nil {
			p = l.rankings[at].top()
		}
		if p == nil || p.conns[at].Len() == 0 {
			continue
		}
		if at == authenticated {
			return p.longestIdle(), at
		}
		return p.conns[at].Front().Value.(*Conn), at
	}
	return nil, at // unreachable: every connection is in a stage
}

// elapsed returns how long the listener has existed, in nanoseconds.
func (l *Listener) elapsed() int64 { return int64(l.cfg.Clock.Now().Sub(l.started)) }

func (l *Listener) add(nc net.Conn, address netip.Prefix) *Conn {
	c := &Conn{Conn: nc, l: l, opened: l.cfg.Clock.Now()}
	c.active.Store(l.elapsed())
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.peer = l.peers[address]; c.peer == nil {
		c.peer = &peer{address: address}
		l.peers[address] = c.peer
	}
	l.enter(c, silent)
	l.open++
	return c
}

// promote moves an open connection to a later stage.
func (l *Listener) promote(c *Conn, to stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.element != nil && c.stage < to {
		l.leave(c)
		l.enter(c, to)
	}
}

// remove removes a connection from the lists.
func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(c)
	if l.open--; c.peer.count() == 0 {
		delete(l.peers, c.peer.address)
	}
}

// enter and leave are called with l.mu held.
func (l *Listener) enter(c *Conn, at stage) {
	conns := &c.peer.conns[at]
	c.stage, c.element = at, conns.PushBack(c)
	l.rankings[at].move(c.peer, conns.Len()-1, conns.Len())
}

func (l *Listener) leave(c *Conn) {
	conns := &c.peer.conns[c.stage]
	conns.Remove(c.element)
	c.element = nil
	l.rankings[c.stage].move(c.peer, conns.Len()+1, conns.Len())
}

func (p *peer) count() (n int) {
	for at := range stages {
		n += p.conns[at].Len()
	}
	return n
}

// longestIdle returns the authenticated connection that has been idle for longest.
func (p *peer) longestIdle() (idlest *Conn) {
	for e := p.conns[authenticated].Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); idlest == nil || c.active.Load() < idlest.active.Load() {
			idlest = c
		}
	}
	return idlest
}

const sweepInterval = time.Second

// closeUnauthenticated closes the connections whose peers have not authenticated in time.
func (l *Listener) closeUnauthenticated() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.sweep(l.cfg.Clock.Now().Add(-l.cfg.AuthTimeout))
		case <-l.stop:
			return
		}
	}
}

// sweep closes the unauthenticated connections opened before a time.
func (l *Listener) sweep(before time.Time) {
	var late []*Conn
	l.mu.Lock()
	for _, p := range l.peers {
		for at := silent; at < authenticated; at++ {
			for e := p.conns[at].Front(); e != nil; e = e.Next() {
				if c := e.Value.(*Conn); c.opened.Before(before) {
					late = append(late, c)
				}
			}
		}
	}
	l.mu.Unlock()
	for _, c := range late {
		if c.Authenticated() {
			continue
		}
		l.unauthenticated.Add(c.peer.address.String())
		_ = c.Close()
	}
}

// addressOf returns the address that a connection counts for.
func addressOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // not TCP: all count as one address
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		panic(fmt.Sprintf("listener: %s has %d bits", ip, bits))
	}
	return prefix
}
