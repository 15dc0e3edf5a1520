package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/logging"
	"github.com/tocsin-project/tocsin/internal/statute"
)

const serveLong = `Runs all services in one process, with an embedded NATS server that syncs every write to
disk before it answers.

With --nats an existing NATS server is used instead. It must be shown to sync every write
(sync_interval: always): give its monitoring address with --nats-monitor. With
--unverified-durability it is used without that evidence, and every receipt says so.

Without --role every service runs. With --role, run every service at least once against
the same NATS server.

Drills use subjects of their own beside the real ones (tocsin report --exercise, POST
/v1/exercise/reports). With --time-scale 60 an hour of a drill takes a minute; its clock
speeds up with the first report of the drill. Real clocks are never scaled.

A restart does not interrupt a drill: while its last record is less than an hour old, its
clock continues from that record, and the downtime passes at the present --time-scale. A
drill without a record for an hour is over at the next start.

--new-drill ends the drill at once: until the next first report, the drill's clock shows
the machine's time. What was open in the previous drill stays open, with due times that
may be far in the future. Give it once: a restart with it would end the new drill too.
Several processes (--role) need the same --time-scale, and --new-drill each, before the
first report.

The ledger's log is signed with a key in the data folder, which the first start creates:
tocsin log key prints the public key. At every start, and every --scrub, the whole log is
compared with what was signed. Damage stops certification, fails /readyz and is logged as
an error; if the stream is shorter than what was certified, nothing is accepted any more.

/healthz reports whether every service works, /readyz whether reports can be accepted, and
/metrics serves metrics.

Without identities (tocsin init creates them) there is no authentication: this is for
trials, is logged at every start, and only loopback addresses are allowed. With identities
every caller needs a credential. Beyond loopback every port needs TLS: --tls-cert and
--tls-key, which are read again when they change, and on SIGHUP. With --tls-client-ca,
clients with a certificate of this authority authenticate by it over HTTP.

With --oidc-issuer and --oidc-client-id people log in with an OpenID Connect provider: over
HTTP an ID token for this client, sent as the header Authorization: Bearer TOKEN,
authenticates the caller. tocsin credential person assigns logins to identities. The
provider's keys are fetched with the first such token; the server starts without it.`

type serveOptions struct {
	cfg           app.Config
	rules         command.Rules
	tls           app.TLS
	oidc          app.OIDC
	keep, reserve string
	keyFile       string
	verbose       bool
}

func (e *environment) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long:  serveLong,
		Args:  command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if len(o.cfg.Roles) > 0 && !slices.Contains(o.cfg.Roles, intake) && !cmd.Flags().Changed("http-listen") {
				o.cfg.HTTPListen = "" // several processes on one machine: only intake listens on the default address
			}
			level := zapcore.InfoLevel
			if o.verbose {
				level = zapcore.DebugLevel
			}
			log := e.logger(level)
			if o.rules.Register == "" {
				log.Warn("no --register: using the example register, whose operators and desks are not real")
			}
			return e.serve(cmd.Context(), o.cfg, o.rules, log, nil)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *serveOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.cfg.Data, "data", defaultData, "data folder")
	f.StringVar(&o.cfg.NATSListen, "nats-listen", "127.0.0.1:4222", "HOST:PORT of the embedded NATS server; port 0 chooses one")
	f.StringVar(&o.cfg.HTTPListen, "http-listen", "127.0.0.1:8080", "HOST:PORT of the HTTP server; port 0 chooses one; empty: none; default without the role intake: none")
	f.IntVar(&o.cfg.Connections.Total, "max-connections", 0, "maximum connections of each port; beyond it the oldest unauthenticated one is closed (default: as the limit of open files allows, at most 4096)")
	f.IntVar(&o.cfg.Connections.PerAddress, "max-connections-per-address", 0, "maximum connections of one address (IPv6: one /64) to each port; raise it behind a proxy (default: half of --max-connections)")
	f.StringSliceVar(&o.cfg.Roles, "role", nil, "a service to run, repeatable: "+strings.Join(app.Roles(), ", "))
	f.StringVar(&o.cfg.NATS, "nats", "", "URL of an existing NATS to use instead of the embedded one")
	f.StringVar(&o.cfg.NATSCA, "nats-ca", "", "certificate of the authority that signed the certificate of that NATS server, as PEM (default: the machine's authorities)")
	f.StringVar(&o.cfg.Monitor, "nats-monitor", "", "monitoring address of that NATS server, such as http://127.0.0.1:8222")
	f.BoolVar(&o.cfg.Unverified, "unverified-durability", false, "use that NATS server without evidence that it syncs every write")
	f.IntVar(&o.cfg.TimeScale, "time-scale", 1, "how many times faster the clock of drills runs")
	f.BoolVar(&o.cfg.NewDrill, "new-drill", false, "end the running drill; the next first report begins another")
	f.DurationVar(&o.cfg.Scrub, "scrub", 24*time.Hour, "pause between two checks of the whole log; 0: check at the start only")
	f.StringVar(&o.tls.Cert, "tls-cert", "", "certificate of the server, with its chain, as PEM")
	f.StringVar(&o.tls.Key, "tls-key", "", "private key of the server certificate, as PEM")
	f.StringVar(&o.tls.ClientCA, "tls-client-ca", "", "authority that signed clients' certificates, as PEM")
	f.StringVar(&o.oidc.Issuer, "oidc-issuer", "", "URL of the OpenID Connect provider: the claim iss of its tokens")
	f.StringVar(&o.oidc.ClientID, "oidc-client-id", "", "client id of this server at that provider: the audience of its tokens")
	f.StringVar(&o.keyFile, "store-key-file", "", "file with the key that encrypts the streams on disk (or TOCSIN_STORE_KEY, the key itself)")
	f.StringVar(&o.keep, "keep", "", "how long records are kept before they may be archived, such as P2Y (default and minimum: what the statutes require)")
	f.StringVar(&o.reserve, "disk-reserve", "0", "disk space to keep free, such as 512MiB: with less, reports are refused while acknowledgements and clocks continue; 0: a twentieth of the disk, from 16 MiB to 1 GiB")
	f.StringVar(&o.cfg.LogName, "log-name", "", "name of the log, such as log.example.org/tocsin, when its key is created (default: a random name)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	o.rules.Flags(cmd)
}

// check refuses invalid flags, and completes the configuration from the valid ones.
func (o *serveOptions) check() (err error) {
	if o.cfg.TimeScale < 1 || o.cfg.TimeScale > maxTimeScale {
		return &command.UsageError{Err: fmt.Errorf("--time-scale is from 1 to %d, not %d", maxTimeScale, o.cfg.TimeScale)}
	}
	if o.keep != "" {
		if o.cfg.Keep, err = statute.ParseMonths(o.keep); err != nil {
			return &command.UsageError{Err: fmt.Errorf("--keep: %w", err)}
		}
	}
	if o.cfg.DiskReserve, err = humanize.ParseBytes(o.reserve); err != nil {
		return &command.UsageError{Err: fmt.Errorf("--disk-reserve: %w", err)}
	}
	if o.cfg.StoreKey, err = storeKey(o.keyFile); err != nil {
		return err
	}
	if o.cfg.Connections.Total < 0 || o.cfg.Connections.PerAddress < 0 {
		return &command.UsageError{Err: errors.New("--max-connections and --max-connections-per-address are numbers above 0")}
	}
	if o.cfg.Scrub < 0 {
		return &command.UsageError{Err: fmt.Errorf("--scrub is a time, not %s", o.cfg.Scrub)}
	}
	return o.checkAuthentication()
}

func (o *serveOptions) checkAuthentication() error {
	if o.tls != (app.TLS{}) {
		if o.tls.Cert == "" || o.tls.Key == "" {
			return &command.UsageError{Err: errors.New("--tls-cert and --tls-key go together")}
		}
		o.cfg.TLS = &o.tls
	}
	if o.oidc == (app.OIDC{}) {
		return nil
	}
	if o.oidc.Issuer == "" || o.oidc.ClientID == "" {
		return &command.UsageError{Err: errors.New("--oidc-issuer and --oidc-client-id go together")}
	}
	if err := o.oidc.Check(); err != nil {
		return &command.UsageError{Err: fmt.Errorf("--oidc-issuer: %w", err)}
	}
	o.cfg.OIDC = &o.oidc
	return nil
}

// storeKey returns the key that encrypts the streams. It is never on a command line,
// where other users of the machine could read it.
func storeKey(file string) (string, error) {
	if file == "" {
		return os.Getenv("TOCSIN_STORE_KEY"), nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(raw)), nil
}

// maxTimeScale bounds how fast a drill's clock may run: the quarter of a second that a
// timer may be late is then a quarter of an hour.
const maxTimeScale = 3600

const intake = "intake" // the role whose process has the HTTP endpoints for reports

// serve runs the product until ctx ends or a service fails. started is called once
// requests are answered.
func (e *environment) serve(ctx context.Context, cfg app.Config, rules command.Rules, log *logging.Log, started func(*app.App) error) error {
	hangups := make(chan os.Signal, 1) // never reset: a late signal must not end the process either
	signal.Notify(hangups, syscall.SIGHUP)
	var err error
	if cfg.Rulebook, err = rules.Load(); err != nil {
		return err
	}
	cfg.Clock, cfg.Log, cfg.Collectors = clock.System{}, log.Logger, append(cfg.Collectors, log)
	bounded, unbound := context.WithCancel(ctx)
	ended := make(chan struct{})
	floor := uint64(memoryFloor)
	if cfg.NATS != "" {
		floor = memoryBeside
	}
	cfg.Memory = containerLimit()
	go func() { defer close(ended); boundMemory(bounded, floor, cfg.Memory) }()
	defer func() { unbound(); <-ended }()
	a, err := app.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer a.Stop()
	go reloadOn(bounded, hangups, a)
	fmt.Fprintf(e.ErrOut, "NATS  %s\n", a.NATSAddr())
	if a.HTTPAddr() != "" {
		fmt.Fprintf(e.ErrOut, "HTTP  %s/v1/reports\n", a.HTTPAddr())
	}
	fmt.Fprintf(e.ErrOut, "data  %s\nready\n", cfg.Data)
	if started != nil {
		if err := started(a); err != nil {
			return err
		}
	}
	return a.Wait(ctx)
}

// reloadOn reloads the reloadable configuration on each signal, until ctx ends.
func reloadOn(ctx context.Context, signals <-chan os.Signal, a *app.App) {
	for {
		select {
		case <-signals:
			a.Reload()
		case <-ctx.Done():
			return
		}
	}
}
