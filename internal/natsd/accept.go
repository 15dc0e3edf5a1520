package natsd

import (
	"bytes"
	"errors"
	"net"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/listener"
)

const (
	tlsTimeout  = 5 * time.Second // for a handshake
	authTimeout = 3 * time.Second // for CONNECT after it
)

// listen opens the port for outside connections. The engine accepts from our listener,
// which bounds the connections: the engine's own accepts as many as there are file
// descriptors, and once they run out its file store fails permanently.
func (s *Server) listen(cfg Config) error {
	port, err := listener.Listen(cfg.Listen, listener.Config{
		Name: "nats", Bounds: cfg.Bounds, AuthTimeout: tlsTimeout + authTimeout, Clock: clock.Monotonic{}, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := setListener(s.s, &engineListener{Listener: port, s: s.s, throttle: s.throttle, anonymous: cfg.Accounts == nil, encrypted: cfg.TLS != nil}); err != nil {
		return errors.Join(err, port.Close())
	}
	s.port = port
	s.s.AcceptLoop(make(chan struct{}))
	return nil
}

// Port returns the listener for outside connections, or nil if there is none.
func (s *Server) Port() *listener.Listener { return s.port }

// setListener sets the listener that the engine accepts from. AcceptLoop uses an existing
// one, but the engine exports no way to set it.
func setListener(s *server.Server, l net.Listener) error {
	field := reflect.ValueOf(s).Elem().FieldByName("listener")
	if !field.IsValid() || field.Type() != reflect.TypeFor[net.Listener]() {
		return errors.New("this version of the NATS server keeps its listener elsewhere")
	}
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(l))
	return nil
}

// engineListener tells the bounded port which connections have authenticated.
type engineListener struct {
	*listener.Listener
	s         *server.Server
	throttle  *throttle
	anonymous bool // peers do not authenticate
	encrypted bool
}

// Accept returns the next connection.
func (l *engineListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &engineConn{Conn: nc.(*listener.Conn), from: l}
	if !l.anonymous {
		c.AuthenticatedBy(func() bool { return l.account(c.id.Load()) != "" })
	}
	return c, nil
}

// account returns the account that the engine has bound a connection to, or "" before the
// connection has authenticated: until then all are in the global account.
func (l *engineListener) account(id uint64) string {
	client := l.s.GetClient(id)
	if client == nil {
		return ""
	}
	account := client.Account()
	if account == nil || account.GetName() == server.DEFAULT_GLOBAL_ACCOUNT {
		return ""
	}
	return account.GetName()
}

// engineConn is a connection with the engine's client ID.
type engineConn struct {
	*listener.Conn
	from *engineListener
	id   atomic.Uint64 // the engine's client ID; 0 before it has sent INFO

	mu     sync.Mutex
	closed bool
	party  string
	flow   *flow // the party's; nil before the party is known
}

// Write reads the client ID from the INFO line, which the engine sends first.
func (c *engineConn) Write(p []byte) (int, error) {
	if c.id.Load() == 0 {
		c.id.Store(clientID(p))
	}
	return c.Conn.Write(p)
}

// Read throttles a party that sends more than the services can read. Without
// authentication a peer counts as authenticated once it has sent a line; over TLS any bytes
// will do: the engine itself ends a handshake that does not finish.
func (c *engineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.from.anonymous && n > 0 && (c.from.encrypted || bytes.IndexByte(p[:n], '\n') >= 0) {
		c.MarkAuthenticated()
	}
	if f := c.flowOf(); f != nil {
		c.from.throttle.wait(f, n)
	}
	return n, err
}

// Close closes the connection and leaves the party's flow.
func (c *engineConn) Close() error {
	c.mu.Lock()
	if c.flow != nil && !c.closed {
		c.from.throttle.leave(c.party)
	}
	c.closed = true
	c.mu.Unlock()
	return c.Conn.Close()
}

// flowOf returns the flow of the connection's party: its account, or its address without
// authentication; nil before the peer has authenticated, when the engine reads no more
// than one line.
func (c *engineConn) flowOf() *flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flow != nil || c.closed {
		return c.flow
	}
	if c.from.anonymous {
		c.party = c.Address().String()
	} else {
		c.party = c.from.account(c.id.Load())
	}
	if c.party != "" {
		c.flow = c.from.throttle.join(c.party)
	}
	return c.flow
}

// clientID reads the client ID from an INFO line, or returns 0.
func clientID(info []byte) uint64 {
	_, rest, _ := bytes.Cut(info, []byte(`"client_id":`))
	end := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	id, err := strconv.ParseUint(string(rest[:max(end, 0)]), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
