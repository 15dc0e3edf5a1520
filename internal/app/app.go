// Package app assembles the product: it starts the server, opens the bus, records the
// rules in force and runs the services. It is the only package that knows them all.
//
// Start runs its steps in a straight line, and Stop undoes them in reverse order:
// endpoints first, so that requests in flight finish, then the writers, the connection
// and the server. A service that ends with an error ends the process; after a restart
// everything is on disk.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/internal/listener"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/services/classifier"
	"github.com/tocsin-project/tocsin/services/deadline"
	"github.com/tocsin-project/tocsin/services/desk"
	"github.com/tocsin-project/tocsin/services/intake"
	"github.com/tocsin-project/tocsin/services/ledger"
	"github.com/tocsin-project/tocsin/services/router"
)

// Config is the configuration of the product.
type Config struct {
	Data       string // folder of the embedded server and the index
	NATSListen string // HOST:PORT of the embedded server; beyond loopback with identities and TLS only
	HTTPListen string // HOST:PORT, likewise; empty: no HTTP
	// Connections bounds each of the two ports; 0 uses what the process's file
	// descriptors allow.
	Connections listener.Bounds
	Roles       []string
	Rulebook    grading.Rulebook

	// TLS has the certificate for ports that listen beyond loopback; nil: none does.
	TLS *TLS

	// OIDC is the provider of logins over HTTP; nil: none.
	OIDC *OIDC

	// StoreKey encrypts the streams of the embedded server; empty: no encryption.
	StoreKey string

	NATS       string // an existing NATS instead of the embedded one
	NATSCA     string // file of the authority that signed its certificate; empty: the machine's authorities
	Monitor    string // its monitoring address, which tells whether it syncs every write
	Unverified bool   // continue if that cannot be shown

	// TimeScale is how much faster than the machine's the clock of drills runs, from the
	// first report of a drill on. With 1 it runs at the machine's pace, also when it
	// continues a faster drill. 0 uses Clock for drills.
	TimeScale int
	// NewDrill abandons a running drill: the clock of drills shows the machine's time
	// until the next first report.
	NewDrill bool

	// Keep is how long records are kept before they may be archived; 0 uses what the
	// statutes in force demand, and less is refused.
	Keep statute.Months
	// Scrub is the pause between two checks of the whole record; 0 checks at the start
	// only.
	Scrub time.Duration
	// LogName names the log when its key is made; empty uses a random name.
	LogName string

	// DiskReserve is how many bytes of the disk reports leave free for the records that
	// follow from accepted ones; 0: a twentieth of it, within bounds.
	DiskReserve uint64
	// Room returns how much of the disk is free; nil asks the file system.
	Room func(dir string) (natsd.Room, error)
	// Memory is how many bytes the process may use; 0: no limit.
	Memory uint64

	Clock clock.Clock
	// Watch checks whether the machine's clock was stepped; nil: one with the tolerance
	// of the register.
	Watch *clock.Watch
	Log   *zap.Logger
	// Collectors are further metrics of the process.
	Collectors []prometheus.Collector
}

// role is one service as selected with --role. It runs once in each realm.
type role struct {
	name string
	run  func(*realm, context.Context) error
	// restartable means that run keeps no state between calls: the service may be run
	// again.
	restartable bool
	more        []string // names of the services that it runs besides its own
}

// roles is the table of services, in the order of a report's path. A new service is a
// line here and a folder under services.
var roles = []role{
	{intake.Name, (*realm).runIntake, false, nil},
	{classifier.Name, (*realm).runClassifier, true, nil},
	{router.Name, (*realm).runRouter, true, nil},
	{desk.Name, (*realm).runDesk, true, nil},
	{deadline.Name, (*realm).runDeadline, true, []string{deadline.NameDue}},
	{ledger.Name, (*realm).runLedger, false, nil},
}

// Roles lists the names of the services.
func Roles() []string {
	var names []string
	for _, r := range roles {
		names = append(names, r.name)
	}
	return names
}

// App is the running product.
type App struct {
	cfg        Config
	lock       *os.File              // on the data folder
	identities *credential.Directory // nil: no identities, every caller is accepted
	server     *natsd.Server         // nil with an existing NATS
	nc         *nats.Conn
	dial       func() (*nats.Conn, error) // opens a connection for the requests to a service
	memory     *share.Pool                // for the requests in flight, of both realms
	keep       ledger.Keep
	realms     []*realm
	bounds     listener.Bounds
	listener   *listener.Listener // nil without HTTP
	httpTLS    *tls.Config        // nil without TLS
	// certificates are those of the ports.
	certificates []*certificates
	stop         context.CancelFunc
	servicesCtx  context.Context // of the services: ends with the first failure, which is its cause
	servicesDone chan struct{}   // closed when the last service has returned
	stopOnce     sync.Once
}

// maxBodyMemory returns how much of the memory the requests in flight may use:
// processing them takes a multiple.
func maxBodyMemory(memory uint64) int64 {
	if memory == 0 {
		return endpoint.MaxMemory
	}
	return int64(min(memory/8, endpoint.MaxMemory))
}

// Start starts everything and returns when requests are answered.
func Start(ctx context.Context, cfg Config) (*App, error) {
	if cfg.Watch == nil {
		cfg.Watch = clock.NewWatch(time.Duration(cfg.Rulebook.Register.ClockTolerance))
	}
	a := &App{cfg: cfg, servicesCtx: ctx, servicesDone: make(chan struct{}), memory: share.NewPool(maxBodyMemory(cfg.Memory))}
	close(a.servicesDone) // nothing is running yet
	if err := a.start(ctx); err != nil {
		a.Stop()
		return nil, err
	}
	return a, nil
}

func (a *App) start(ctx context.Context) (err error) {
	if a.keep, err = retention(a.cfg); err != nil {
		return err
	}
	if err := a.openIdentities(); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	if err := a.setConnectionBounds(); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	ctx, cancel := a.untilEngineFails(ctx)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
	}()
	for _, name := range []event.Realm{event.Real, event.Drill} {
		if err := a.openRealm(ctx, name); err != nil {
			return err
		}
	}
	if a.cfg.HTTPListen != "" {
		if err := a.listenHTTP(); err != nil {
			return err
		}
		if a.cfg.TLS != nil {
			c, err := a.cfg.TLS.load(true, a.cfg.Log)
			if err != nil {
				return err
			}
			a.certificates, a.httpTLS = append(a.certificates, c), c.config()
		}
	}
	a.run()
	if err := a.ready(ctx); err != nil {
		return err
	}
	a.notifySupervisor(daemon.SdNotifyReady)
	return nil
}

// check refuses an unsafe configuration: a port that others can reach, without identities
// or without TLS.
func (a *App) check() error {
	for _, name := range a.cfg.Roles {
		if !slices.Contains(Roles(), name) {
			return fmt.Errorf("no role %q: there are %v", name, Roles())
		}
	}
	if err := a.checkOIDC(); err != nil {
		return err
	}
	if a.cfg.NATSCA != "" && a.cfg.NATS == "" {
		return errors.New("--nats-ca is of an existing NATS, which --nats names")
	}
	if a.cfg.NATS != "" && BeyondLoopback(a.cfg.NATS) && a.identities == nil {
		return fmt.Errorf("NATS at %s would be open to everybody who can reach it: without identities only loopback is allowed (127.0.0.1, ::1, localhost); run tocsin init", a.cfg.NATS)
	}
	for port, listen := range map[string]string{"NATS": a.cfg.NATSListen, "HTTP": a.cfg.HTTPListen} {
		if listen == "" || port == "NATS" && a.cfg.NATS != "" {
			continue
		}
		host, _, err := net.SplitHostPort(listen)
		if err != nil {
			return fmt.Errorf("%s address: %w", port, err)
		}
		if Loopback(host) {
			continue
		}
		switch {
		case a.identities == nil:
			return fmt.Errorf("%s on %s would be open to everybody who can reach it: without identities only loopback is allowed (127.0.0.1, ::1, localhost); run tocsin init", port, listen)
		case a.cfg.TLS == nil:
			return fmt.Errorf("%s on %s would be unencrypted: beyond loopback --tls-cert and --tls-key are required", port, listen)
		}
	}
	return nil
}

func (a *App) connect(ctx context.Context) (err error) {
	if a.cfg.NATS == "" || a.runs(ledger.Name) { // otherwise nothing is stored in the folder
		if a.lock, err = lockFolder(a.cfg.Data); err != nil {
			return err
		}
		if err := checkFormat(a.cfg.Data); err != nil {
			return err
		}
		for _, warning := range a.placeWarnings() {
			a.cfg.Log.Error("data folder is a copy or was moved", zap.String("detail", warning))
		}
	}
	options := append(natsd.ConnectOptions("tocsin services"), nats.ErrorHandler(natsd.ReportErrors(a.cfg.Log.Named("nats"))))
	if a.cfg.NATS == "" {
		server := natsd.Config{Dir: filepath.Join(a.cfg.Data, "nats"), Listen: a.cfg.NATSListen, Log: a.cfg.Log, Key: a.cfg.StoreKey,
			Reserve: a.cfg.DiskReserve, Room: a.cfg.Room, Bounds: a.bounds}
		if a.identities != nil {
			if server.Accounts, err = a.identities.Accounts(); err != nil {
				return err
			}
			server.Refused = a.identities.Refused
		}
		if a.cfg.TLS != nil {
			c, err := a.cfg.TLS.load(false, a.cfg.Log)
			if err != nil {
				return err
			}
			a.certificates, server.TLS = append(a.certificates, c), c.config()
		}
		if a.server, err = natsd.Start(ctx, server); err != nil {
			return err
		}
		a.dial = func() (*nats.Conn, error) { return a.server.Connect(options...) }
		a.nc, err = a.dial()
		return err
	}
	if a.identities != nil {
		// The file is read again at each attempt: it may have been rotated meanwhile.
		options = append(options, nats.UserCredentials(credential.In(a.cfg.Data).Services()), nats.IgnoreAuthErrorAbort())
		if BeyondLoopback(a.cfg.NATS) { // an attacker in between could claim that the server has no TLS
			options = append(options, nats.Secure())
		}
	}
	if !BeyondLoopback(a.cfg.NATS) { // nor follow a server's claim that others are of its cluster
		options = append(options, nats.IgnoreDiscoveredServers())
	}
	if a.cfg.NATSCA != "" {
		options = append(options, nats.RootCAs(a.cfg.NATSCA))
	}
	a.dial = func() (*nats.Conn, error) { return nats.Connect(a.cfg.NATS, options...) }
	if a.nc, err = a.dial(); err != nil {
		return fmt.Errorf("nats at %s: %w", a.cfg.NATS, err)
	}
	if err := a.checkAccounts(ctx); err != nil {
		return fmt.Errorf("nats at %s: %w", a.cfg.NATS, err)
	}
	if a.cfg.Unverified {
		a.cfg.Log.Warn("not verified that the server syncs every write; every receipt says so")
		return nil
	}
	if err := natsd.VerifySync(ctx, a.nc, a.cfg.Monitor); err != nil {
		return fmt.Errorf("refusing to keep evidence on %s: %w; give --nats-monitor, or --unverified-durability, which every receipt repeats", a.cfg.NATS, err)
	}
	return nil
}

func (a *App) runs(name string) bool {
	return len(a.cfg.Roles) == 0 || slices.Contains(a.cfg.Roles, name)
}

// run starts the services; the first that fails stops the others.
func (a *App) run() {
	ctx, stop := context.WithCancel(context.Background())
	a.stop, a.servicesDone = stop, make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	a.servicesCtx = ctx
	start := func(name string, realm event.Realm, run func(context.Context) error) {
		g.Go(func() error {
			err := run(ctx)
			if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
				return nil
			}
			err = fmt.Errorf("%s ended: %w", name, err)
			if realm == event.Drill {
				// A drill must not take the real path down with it.
				a.cfg.Log.Error("drills failed and stay stopped until a restart", zap.Error(err))
				return nil
			}
			return err
		})
	}
	for _, realm := range a.realms {
		if d := realm.drill; d != nil && a.cfg.TimeScale > 1 {
			start("the drill's clock", realm.name, func(ctx context.Context) error { return d.run(ctx) })
		}
		for _, r := range roles {
			if a.runs(r.name) {
				name, run := realm.bus.Service(r.name), func(ctx context.Context) error { return r.run(realm, ctx) }
				if r.restartable {
					run = func(ctx context.Context) error {
						return restartWhileUnavailable(ctx, a.cfg.Log, name, func(ctx context.Context) error { return r.run(realm, ctx) })
					}
				}
				start(name, realm.name, run)
			}
		}
	}
	if a.listener != nil {
		start("http", event.Real, a.serveHTTP)
	}
	if a.identities != nil {
		start("identities", event.Real, a.watchIdentities)
	}
	if a.server != nil {
		start("the embedded server", event.Real, a.watchEngine)
	}
	start("the watch over the clock", event.Real, a.watchClock)
	start("the probe", event.Real, a.realms[0].bus.Probe)
	start("the watchdog", event.Real, a.watchdog)
	go func() {
		defer close(a.servicesDone)
		_ = g.Wait() // its error is the cause of working's end
	}()
}

// restartPause is the pause before a service is run again after the engine did not
// answer.
const restartPause = time.Second

// restartWhileUnavailable runs a service, and runs it again if it ended because the
// engine did not answer in time: a very busy machine answers later, and an engine that
// never will ends the process (package bus).
func restartWhileUnavailable(ctx context.Context, log *zap.Logger, name string, run func(context.Context) error) error {
	for {
		err := run(ctx)
		if ctx.Err() != nil || !errors.Is(err, bus.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		log.Warn("the engine did not answer; restarting the service", zap.String("service", name), zap.Error(err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restartPause):
		}
	}
}

// readyTimeout is how long the endpoints may take to open.
const readyTimeout = 30 * time.Second

// ready returns when every service answers, in every realm, and the first write of the
// probe has been read back, so that /readyz does not fail for a moment after the start.
// If nothing can be stored, /readyz reports it; the start stops waiting for it.
func (a *App) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, realm := range a.realms {
		for _, r := range roles {
			if !a.runs(r.name) {
				continue
			}
			if err := a.waitForAnswer(ctx, realm.bus.Service(r.name)); err != nil {
				return err
			}
		}
	}
	for {
		last, err := a.realms[0].bus.Stores()
		if !last.IsZero() || !errors.Is(err, bus.ErrUnavailable) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-a.servicesCtx.Done():
			return context.Cause(a.servicesCtx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) waitForAnswer(ctx context.Context, service string) error {
	for {
		if _, err := a.nc.Request("$SRV.PING."+service, nil, time.Second); err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-a.servicesCtx.Done():
			return context.Cause(a.servicesCtx)
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %v", service, readyTimeout)
		}
	}
}

// Wait returns when a service has failed, with its error, or when ctx ends. It does not
// wait for the other services: a failed engine answers none of them.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-a.servicesCtx.Done():
		if err := context.Cause(a.servicesCtx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil // stopped by Stop
	case <-ctx.Done():
		return nil
	}
}

// NATSAddr returns the address that clients connect to.
func (a *App) NATSAddr() string {
	if a.server == nil {
		return a.cfg.NATS
	}
	scheme := "nats://"
	if a.cfg.TLS != nil {
		scheme = "tls://"
	}
	return scheme + a.server.Addr()
}

// HTTPAddr returns the base address of the HTTP port, or "".
func (a *App) HTTPAddr() string {
	if a.listener == nil {
		return ""
	}
	scheme := "http://"
	if a.cfg.TLS != nil {
		scheme = "https://"
	}
	return scheme + a.listener.Addr().String()
}
