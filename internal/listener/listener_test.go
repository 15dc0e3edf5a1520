package listener

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// port is a bounded listener whose connections come from arbitrary addresses. No data
// passes.
type port struct {
	*Listener
	t     *testing.T
	clock *clock.Manual
	next  *fakeConn
}

func newPort(t *testing.T, total, perAddress int) *port {
	p := &port{t: t, clock: clock.NewManual(time.Unix(1e9, 0))}
	p.Listener = New(p, Config{Name: "test", Bounds: Bounds{total, perAddress}, Clock: p.clock, Log: zap.NewNop()})
	return p
}

// Accept is the Accept of the listener below the bounds.
func (p *port) Accept() (net.Conn, error) { return p.next, nil }
func (p *port) Close() error              { return nil }
func (p *port) Addr() net.Addr            { return &net.TCPAddr{} }

// connect returns a new connection from an address, one second after the previous one.
func (p *port) connect(from string) *Conn {
	p.t.Helper()
	p.clock.Advance(time.Second)
	p.next = &fakeConn{from: from, closed: make(chan struct{})}
	nc, err := p.Listener.Accept()
	require.NoError(p.t, err)
	return nc.(*Conn)
}

type fakeConn struct {
	net.Conn
	from   string
	once   sync.Once
	closed chan struct{}
}

func (c *fakeConn) Close() error { c.once.Do(func() { close(c.closed) }); return nil }
func (c *fakeConn) Read(p []byte) (int, error) {
	return len(p), nil
}
func (c *fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 7))
}

func isOpen(c *Conn) bool {
	select {
	case <-c.Conn.(*fakeConn).closed:
		return false
	default:
		return true
	}
}

func TestListener_AddressIsFull_OldestUnprovenIsClosed(t *testing.T) {
	t.Parallel()
	p := newPort(t, 100, 3)
	honest, first, second := p.connect("192.0.2.1"), p.connect("192.0.2.1"), p.connect("192.0.2.1")
	elsewhere := p.connect("192.0.2.2")
	honest.MarkAuthenticated()
	for range 10 { // a byte now and then does not help
		_, _ = first.Read(make([]byte, 1))
		_, _ = second.Read(make([]byte, 1))
	}
	third := p.connect("192.0.2.1")
	require.False(t, isOpen(first), "the oldest unproven connection makes room")
	fourth := p.connect("192.0.2.1")
	require.False(t, isOpen(third), "a connection that has sent nothing goes before one that has")
	_, _ = fourth.Read(make([]byte, 1))
	fifth := p.connect("192.0.2.1")
	require.False(t, isOpen(second))
	require.True(t, isOpen(honest), "a peer that proved itself keeps its connection")
	require.True(t, isOpen(fourth) && isOpen(fifth), "newcomers are taken")
	require.True(t, isOpen(elsewhere), "another address loses nothing")
	require.Equal(t, 4, p.Open())
	room, _, _ := p.Closed()
	require.EqualValues(t, 3, room)
}

func TestListener_AllAreProven_MostSilentIsClosed(t *testing.T) {
	t.Parallel()
	p := newPort(t, 100, 2)
	a, b := p.connect("192.0.2.1"), p.connect("192.0.2.1")
	a.MarkAuthenticated()
	b.MarkAuthenticated()
	p.clock.Advance(time.Second)
	_, _ = a.Read(make([]byte, 1))
	c := p.connect("192.0.2.1")
	require.True(t, isOpen(a) && isOpen(c))
	require.False(t, isOpen(b), "b was silent longer than a")
}

func TestListener_PortIsFull_LargestAddressLoses(t *testing.T) {
	t.Parallel()
	p := newPort(t, 6, 4)
	honest := p.connect("192.0.2.1")
	honest.MarkAuthenticated()
	stranger := p.connect("192.0.2.2")
	var flood []*Conn
	for range 4 {
		flood = append(flood, p.connect("192.0.2.3"))
	}
	newcomer := p.connect("192.0.2.4")
	require.False(t, isOpen(flood[0]))
	require.True(t, isOpen(honest) && isOpen(stranger) && isOpen(newcomer))
	require.Equal(t, 6, p.Open())

	// Without unproven connections the address with most proven ones loses.
	for _, c := range append(flood[1:], stranger, newcomer) {
		c.MarkAuthenticated()
	}
	p.connect("192.0.2.5")
	require.False(t, isOpen(flood[1]))
	require.True(t, isOpen(honest))
}

func TestListener_ProofIsAskedBeforeClosing(t *testing.T) {
	t.Parallel()
	p := newPort(t, 100, 2)
	authenticated, silent := p.connect("192.0.2.1"), p.connect("192.0.2.1")
	authenticated.AuthenticatedBy(func() bool { return true })
	silent.AuthenticatedBy(func() bool { return false })
	p.connect("192.0.2.1")
	require.True(t, isOpen(authenticated))
	require.False(t, isOpen(silent))
}

func TestListener_UnprovenForTooLong(t *testing.T) {
	t.Parallel()
	p := newPort(t, 100, 100)
	old, proven, asked := p.connect("192.0.2.1"), p.connect("192.0.2.1"), p.connect("192.0.2.2")
	proven.MarkAuthenticated()
	asked.AuthenticatedBy(func() bool { return true })
	moment := p.clock.Now()
	young := p.connect("192.0.2.1")
	p.sweep(moment.Add(time.Millisecond))
	require.False(t, isOpen(old))
	require.True(t, isOpen(proven) && isOpen(asked) && isOpen(young))
	_, late, _ := p.Closed()
	require.EqualValues(t, 1, late)
}

func TestListener_BooksAreEmptyAtTheEnd(t *testing.T) {
	t.Parallel()
	p := newPort(t, 50, 20)
	var all []*Conn
	for i := range 1000 {
		c := p.connect([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"}[i%4])
		if all = append(all, c); i%3 == 0 {
			c.MarkAuthenticated()
		}
		require.LessOrEqual(t, p.Open(), 50)
	}
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() { _ = c.Close() })
		wg.Go(func() { c.MarkAuthenticated() })
		wg.Go(func() { _ = c.Close() })
	}
	wg.Wait()
	require.Zero(t, p.Open())
	require.Empty(t, p.peers)
	for at := range stages {
		require.Nil(t, p.rankings[at].top())
	}
}

// An address that connects repeatedly gets as many connections a second as it may hold;
// other addresses are not affected.
func TestListener_AddressOpensTooMany(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	flood, other := addressOf(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}), addressOf(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)})
	open := func(p *rateLimits, address netip.Prefix) (n int) {
		for range 1000 {
			if p.allow(address, now) {
				n++
			}
		}
		return n
	}
	p := newRateLimits(200)
	require.Equal(t, 200, open(&p, flood))
	require.Equal(t, 200, open(&p, other))
	now = now.Add(500 * time.Millisecond)
	require.Equal(t, 100, open(&p, flood))
	now = now.Add(-time.Hour)
	require.Zero(t, open(&p, flood), "a clock that is set back gives nothing")
	now = now.Add(2 * time.Hour)
	require.Equal(t, 200, open(&p, flood))

	small := newRateLimits(1)
	require.Equal(t, minRate, open(&small, flood))

	big := newRateLimits(4 * maxRate)
	require.Equal(t, 1000, open(&big, flood))
	require.Equal(t, 1000, open(&big, flood))
	open(&big, flood)
	now = now.Add(time.Second)
	require.Equal(t, maxRate, open(&big, flood))
}

func TestPace_ForgetsAddresses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	p := newRateLimits(10)
	for i := range 2*maxLimiters + 10 {
		now = now.Add(10 * time.Microsecond)
		require.True(t, p.allow(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), now))
	}
	require.LessOrEqual(t, len(p.limiters), maxLimiters)
}

func TestAddressOf(t *testing.T) {
	t.Parallel()
	of := func(s string) netip.Prefix {
		return addressOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)))
	}
	require.Equal(t, of("192.0.2.1:1"), of("192.0.2.1:2"))
	require.Equal(t, of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:1"), "an IPv4 address in an IPv6 socket is the same one")
	require.NotEqual(t, of("192.0.2.1:1"), of("192.0.2.2:1"))
	require.Equal(t, of("[2001:db8::1]:1"), of("[2001:db8::ffff:1]:1"), "one host has a whole /64")
	require.NotEqual(t, of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"))
	require.Equal(t, of("[fe80::1%eth0]:1"), of("[fe80::2%eth0]:1"))
}

// A real connection, encrypted or not, is found by Of and closed.
func TestListener_RealConnections(t *testing.T) {
	t.Parallel()
	l, err := Listen("127.0.0.1:0", Config{Name: "test", Bounds: Bounds{10, 2}, Clock: clock.System{}, Log: zap.NewNop()})
	require.NoError(t, err)
	defer l.Close()
	dial := func() (ours, theirs net.Conn) {
		theirs, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = theirs.Close() })
		ours, err = l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = ours.Close() })
		return ours, theirs
	}
	_, silent := dial()
	ours, sends := dial()
	require.Same(t, ours, Of(ours))
	_, err = sends.Write([]byte{1}) // not read by the server
	require.NoError(t, err)
	require.Eventually(t, func() bool { return hasUnread(ours.(*Conn).Conn) }, time.Minute, time.Millisecond)
	_, _ = dial()
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, last := dial()
	_, err = last.Write([]byte{1})
	require.NoError(t, err)
	_, err = ours.Write([]byte{2})
	require.NoError(t, err)
	answer := make([]byte, 1)
	_, err = sends.Read(answer)
	require.NoError(t, err, "the connection that has sent something is still there")
	require.Equal(t, []byte{2}, answer)
	require.Equal(t, 2, l.Open())
}
