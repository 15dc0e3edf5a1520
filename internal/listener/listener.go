// Package listener bounds how many connections a port holds, in total and for each
// address, before any peer has authenticated.
//
// What it guarantees:
//   - A newcomer is taken, unless its address opens connections too fast (pace.go).
//     Where its address or the port is full, another connection is closed to make room.
//   - Peers lose in the order of what they have shown: those that have sent nothing,
//     then those that have sent something, the oldest first; then, of those that have
//     proved who they are, the one that has been silent longest. So a peer that proves
//     itself at once keeps its connection, however many others connect and wait, or
//     send a byte now and then.
//   - Where an address is full, it loses one of its own; where the port is full, the
//     address that has most of the kind that loses.
//   - A peer that has proved nothing within Config.ProveWithin is disconnected.
//
// An address is an IPv4 address or an IPv6 network of 64 bits, which one host can
// use as it likes.
//
// What not to assume: that a connection stays open. It may be closed at any moment,
// and the peer connects again.
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

// Bounds are the most connections that a port holds; 0 is no bound.
type Bounds struct {
	Total      int
	PerAddress int
}

// Config is how a port is bounded.
type Config struct {
	Name   string // of the port, for the log
	Bounds Bounds
	// ProveWithin is how long a peer may take to prove itself; 0 leaves that to
	// whoever serves the port.
	ProveWithin time.Duration
	Clock       clock.Clock // it measures durations: clock.Monotonic, but in tests
	Log         *zap.Logger
}

// Listener is a bounded net.Listener.
type Listener struct {
	net.Listener
	cfg    Config
	born   time.Time
	closed *tally.Tally // connections closed to make room
	late   *tally.Tally // connections closed because their peers proved nothing
	hasty  *tally.Tally // connections closed because their address opens too many a second
	pace   pace         // of Accept

	stopOnce sync.Once
	stop     chan struct{}

	mu    sync.Mutex // over what follows, the peers and what stage a connection is in
	peers map[netip.Prefix]*peer
	open  int
	most  [stages]ranking // peers by their connections in a stage
}

// stage is what a peer has shown on a connection.
type stage int

const (
	silent stage = iota // nothing
	heard               // it has sent something
	proven              // who it is
	stages
)

// peer is an address with connections.
type peer struct {
	address netip.Prefix
	conns   [stages]list.List // of *Conn, the first to come to the stage first
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
	l := &Listener{Listener: inner, cfg: cfg, born: cfg.Clock.Now(), stop: make(chan struct{}), peers: map[netip.Prefix]*peer{}}
	warn := func(message string) *tally.Tally {
		return tally.New(func(n int, address string) {
			cfg.Log.Warn(message, zap.String("port", cfg.Name), zap.Int("connections", n), zap.String("last_address", address),
				zap.Int("max_connections", cfg.Bounds.Total), zap.Int("max_per_address", cfg.Bounds.PerAddress))
		})
	}
	l.closed = warn("connections closed to make room for others")
	l.late = warn("connections closed before they authenticated")
	l.hasty = warn("connections closed because an address opens too many a second")
	l.pace = newPace(cfg.Bounds.PerAddress)
	if cfg.ProveWithin > 0 {
		go l.closeLate()
	}
	return l
}

// Accept returns the next connection, a *Conn, after it has made room for it.
func (l *Listener) Accept() (net.Conn, error) {
	nc, address, err := l.next()
	if err != nil {
		return nil, err
	}
	for c, at := l.surplus(address); c != nil; c, at = l.surplus(address) {
		if reached := c.reached(at); reached > at {
			l.promote(c, reached)
			continue
		}
		l.closed.Add(c.peer.address.String())
		_ = c.Close()
	}
	return l.add(nc, address), nil
}

// next returns the next connection of an address that does not open them too fast.
func (l *Listener) next() (net.Conn, netip.Prefix, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, netip.Prefix{}, err
		}
		address := addressOf(nc.RemoteAddr())
		if l.pace.allow(address, l.cfg.Clock.Now()) {
			return nc, address, nil
		}
		l.hasty.Add(address.String())
		_ = nc.Close()
	}
}

// Close stops listening. Connections that were accepted stay open.
func (l *Listener) Close() error {
	l.stopOnce.Do(func() { close(l.stop) })
	return l.Listener.Close()
}

// Open returns how many connections there are.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Closed returns how many connections were closed to make room, because their peers
// proved nothing in time, and because their address opens too many a second.
func (l *Listener) Closed() (room, late, hasty uint64) {
	return l.closed.Total(), l.late.Total(), l.hasty.Total()
}

// surplus returns the connection to close before another one of the address is taken,
// and its stage; or nil where there is room.
func (l *Listener) surplus(address netip.Prefix) (c *Conn, at stage) {
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
			p = l.most[at].top()
		}
		if p == nil || p.conns[at].Len() == 0 {
			continue
		}
		if at == proven {
			return p.mostSilent(), at
		}
		return p.conns[at].Front().Value.(*Conn), at
	}
	return nil, at // cannot be: every connection is in a stage
}

// age returns for how long the listener has been there, in nanoseconds.
func (l *Listener) age() int64 { return int64(l.cfg.Clock.Now().Sub(l.born)) }

func (l *Listener) add(nc net.Conn, address netip.Prefix) *Conn {
	c := &Conn{Conn: nc, l: l, since: l.cfg.Clock.Now()}
	c.active.Store(l.age())
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

// promote moves a connection that is still open to a later stage.
func (l *Listener) promote(c *Conn, to stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.place != nil && c.stage < to {
		l.leave(c)
		l.enter(c, to)
	}
}

// remove takes a connection off the books.
func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(c)
	if l.open--; c.peer.count() == 0 {
		delete(l.peers, c.peer.address)
	}
}

// enter needs l.mu, as does leave.
func (l *Listener) enter(c *Conn, at stage) {
	conns := &c.peer.conns[at]
	c.stage, c.place = at, conns.PushBack(c)
	l.most[at].move(c.peer, conns.Len()-1, conns.Len())
}

func (l *Listener) leave(c *Conn) {
	conns := &c.peer.conns[c.stage]
	conns.Remove(c.place)
	c.place = nil
	l.most[c.stage].move(c.peer, conns.Len()+1, conns.Len())
}

func (p *peer) count() (n int) {
	for at := range stages {
		n += p.conns[at].Len()
	}
	return n
}

// mostSilent returns the proven connection on which no data has passed for longest.
func (p *peer) mostSilent() (most *Conn) {
	for e := p.conns[proven].Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); most == nil || c.active.Load() < most.active.Load() {
			most = c
		}
	}
	return most
}

const sweepInterval = time.Second

// closeLate closes the connections whose peers have proved nothing in time.
func (l *Listener) closeLate() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.sweep(l.cfg.Clock.Now().Add(-l.cfg.ProveWithin))
		case <-l.stop:
			return
		}
	}
}

// sweep closes the unproven connections that were made before a moment.
func (l *Listener) sweep(before time.Time) {
	var late []*Conn
	l.mu.Lock()
	for _, p := range l.peers {
		for at := silent; at < proven; at++ {
			for e := p.conns[at].Front(); e != nil; e = e.Next() {
				if c := e.Value.(*Conn); c.since.Before(before) {
					late = append(late, c)
				}
			}
		}
	}
	l.mu.Unlock()
	for _, c := range late {
		if c.Proven() {
			continue
		}
		l.late.Add(c.peer.address.String())
		_ = c.Close()
	}
}

// addressOf returns the address by which connections are counted.
func addressOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // not TCP: all count together
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
