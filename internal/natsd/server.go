// Package natsd runs the embedded NATS server and contains the workarounds for faults of
// the version in use.
//
// What it guarantees:
//   - Every write is synced to disk before it is acknowledged.
//   - The port holds a bounded number of connections (package listener). Only a party that
//     sends more than the services can read is throttled (throttle).
//   - The engine does not meet a full disk: the bus stores records and positions only
//     while there is room (Server.RoomFor), which keeps a margin for small writes that do
//     not ask. An error after which the engine stores nothing closes Failed.
//
// What not to assume: that a message is a record. What the streams contain, and how it
// gets there, is decided by package bus.
package natsd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/listener"
	"github.com/tocsin-project/tocsin/internal/private"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// maxStore disables the engine's own storage limit. By default it is three quarters of
// the free disk until the streams are recovered: timers that come due before LEDGER is
// recovered would be refused, and the engine retries none of them before the next start.
// Space decides how full the disk may be.
const maxStore = 1 << 60

// Config configures the embedded server.
type Config struct {
	Dir    string // JetStream's folder
	Listen string // HOST:PORT; empty listens nowhere and takes in-process connections only
	Log    *zap.Logger
	// Accounts are the accounts that may connect; nil: anybody may.
	Accounts *Accounts
	// Refused records what the server refuses; nil: it is logged.
	Refused func(caller, action, reason string)
	// Key encrypts the stored data; empty: it is not encrypted. It protects the contents
	// of copied files but does not detect alterations: the log does that.
	Key string
	// Reserve is how many bytes of the disk reports leave free; 0: a twentieth of it,
	// within bounds.
	Reserve uint64
	// Room returns how much of the disk is free; nil asks the file system.
	Room func(dir string) (Room, error)
	TLS  *tls.Config // for outside connections; nil: not encrypted
	// Bounds limit the outside connections.
	Bounds listener.Bounds
}

// Server is an embedded NATS server with JetStream, which syncs every write to
// disk before it acknowledges it.
type Server struct {
	s         *server.Server
	port      *listener.Listener // nil if it does not listen
	throttle  *throttle
	log       *zap.Logger
	health    health
	space     *space
	overrun   *tally.Tally // cut-off connections of the services
	stopGuard context.CancelFunc
	trust     *trust        // nil without identities
	services  []nats.Option // options of connections inside the process
	dir       string
	staging   string // folder in memory where batches are staged; empty: they are staged on disk
	stagingMu sync.Mutex
}

// Start starts an embedded server and waits until it accepts connections. After a crash
// the engine first reads its streams whole, at some 100 MB a second.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	if err := private.MakeUnchecked(cfg.Dir); err != nil {
		return nil, fmt.Errorf("nats server: folder of JetStream: %w", err)
	}
	space := newSpace(cfg.Dir, cfg.Reserve, cfg.Room)
	if room, level := space.check(0); level == levelFull {
		return nil, fmt.Errorf("nats server: the disk of %s is full (%s are free): free space and start again", cfg.Dir, humanize.IBytes(room.Free))
	}
	if err := checkKey(cfg.Dir, cfg.Key); err != nil {
		return nil, err
	}
	trusted, services, err := cfg.trust(opts)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("nats server: %w", err)
	}
	health := newHealth()
	log := newEngineLog(cfg.Log.Named("nats"), health, cfg.Refused)
	s.SetLogger(log, false, false)
	guarded, stopGuard := context.WithCancel(context.Background())
	if cfg.Key == "" {
		go guardBlocks(guarded, cfg.Dir, guardMemory, cfg.Log)
	}
	e := &Server{
		s: s, trust: trusted, log: cfg.Log.Named("nats"), overrun: log.overrun, throttle: newThrottle(s), health: health,
		space: space, stopGuard: stopGuard, services: services, dir: cfg.Dir, staging: newStaging(cfg.Dir),
	}
	dropForeignLinks(cfg.Dir)
	left := stagingLinks(cfg.Dir, "*")
	if err := e.start(ctx, cfg); err != nil {
		stopGuard()
		s.Shutdown()
		e.endStaging()
		return nil, err
	}
	dropStaging(left)
	return e, nil
}

// options returns the engine's configuration, without that of accounts.
func (cfg Config) options() (*server.Options, error) {
	opts := &server.Options{
		ServerName: "tocsin", JetStream: true, StoreDir: cfg.Dir,
		SyncAlways: true, MaxPayload: event.MaxMessage, JetStreamMaxStore: maxStore, NoSigs: true, NoLog: true,
		DontListen: true, AuthTimeout: authTimeout.Seconds(), // see listen
		MaxPending: maxPending,
	}
	if cfg.Key != "" {
		opts.JetStreamKey, opts.JetStreamCipher = cfg.Key, server.ChaCha
	}
	if cfg.TLS != nil {
		opts.TLS, opts.TLSConfig, opts.TLSTimeout = true, cfg.TLS, tlsTimeout.Seconds()
	}
	if cfg.Listen == "" {
		return opts, nil
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("nats server: listen address: %w", err)
	}
	opts.Host = host
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("nats server: listen port: %w", err)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// trust adds the accounts to the engine's configuration, and returns the options of the
// services' own connections. Without accounts it returns nothing.
func (cfg Config) trust(opts *server.Options) (*trust, []nats.Option, error) {
	if cfg.Accounts == nil {
		return nil, nil, nil
	}
	trusted, err := newTrust(cfg.Accounts)
	if err != nil {
		return nil, nil, err
	}
	if err := trusted.options(opts, cfg.Accounts); err != nil {
		return nil, nil, err
	}
	credential, err := trusted.credential()
	if err != nil {
		return nil, nil, err
	}
	return trusted, []nats.Option{credential}, nil
}

// start starts the engine, waits until it has read its streams, and lets clients connect.
func (s *Server) start(ctx context.Context, cfg Config) error {
	go s.s.Start()
	for waited := readyPoll; !s.s.ReadyForConnections(readyPoll); waited += readyPoll {
		select {
		case <-s.health.ctx.Done():
			return fmt.Errorf("nats server on %q: %w", cfg.Listen, context.Cause(s.health.ctx))
		case <-ctx.Done():
			return fmt.Errorf("nats server: %w", ctx.Err())
		default:
		}
		if waited%readyLogInterval == 0 {
			cfg.Log.Info("the embedded server is still reading its streams, as after a crash", zap.String("folder", cfg.Dir), zap.Duration("after", waited))
		}
	}
	if !s.s.JetStreamEnabled() {
		return fmt.Errorf("nats server: JetStream did not start in %s", cfg.Dir)
	}
	if cfg.Listen != "" {
		if err := s.listen(cfg); err != nil {
			return fmt.Errorf("nats server on %q: %w", cfg.Listen, err)
		}
	}
	return nil
}

const (
	readyPoll        = 100 * time.Millisecond
	readyLogInterval = 5 * time.Second // between progress lines
)

// Addr returns the address it listens on, or "" if it does not listen.
func (s *Server) Addr() string {
	if a, ok := s.s.Addr().(*net.TCPAddr); ok && a != nil {
		return a.String()
	}
	return ""
}

// Connect returns a connection inside the process, for the services.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	options = append(slices.Clip(options), nats.IgnoreAuthErrorAbort(), nats.InProcessServer(s.s))
	nc, err := nats.Connect("", append(options, s.services...)...)
	if err != nil {
		return nil, fmt.Errorf("nats server: in-process connection: %w", err)
	}
	s.throttle.watch(func() int {
		id, err := nc.GetClientID() // changes when it reconnects
		if err != nil {
			return 0
		}
		return s.throttle.pending(id)
	})
	return nc, nil
}

// Overruns returns how often the engine has cut off a connection of the services
// because more was sent to it than it could read.
func (s *Server) Overruns() uint64 { return s.overrun.Total() }

// Stop ends the server after its stores are closed. It may be called twice.
func (s *Server) Stop() {
	s.stopGuard()
	s.s.Shutdown()
	s.s.WaitForShutdown()
	s.endStaging()
}
