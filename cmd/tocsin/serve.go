package main

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
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/logging"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// rules are the flags that choose packs and register.
type rules struct{ register, statutes string }

func (r *rules) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.register, "register", "", "register of operators, facilities and desks (default: the example register)")
	cmd.Flags().StringVar(&r.statutes, "statutes", "", "folder of statute packs that replaces the built-in ones")
}

func (e *environment) serveCommand() *cobra.Command {
	var cfg app.Config
	var rules rules
	var verbose bool
	var keep string
	var tls app.TLS
	var oidc app.OIDC
	var keyFile, reserve string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the whole pipeline in one process, with an embedded NATS server that
syncs every write to disk before it answers.

With --nats an existing NATS is used instead. It must be shown to sync every
write (sync_interval: always): give its monitoring address with --nats-monitor.
With --unverified-durability it is used all the same, and every receipt says so.

Without --role every service runs. Of the services with --role, run each at
least once against the same NATS.

Drills take the same path beside the real one, under subjects of their own
(tocsin report --exercise, POST /v1/exercise/reports). With --time-scale 60 an
hour of a drill takes a minute: its clock begins to run faster with the first
report of a drill. Real clocks are never scaled.

A restart does not interrupt a drill: as long as its last record is less than
an hour old, its clock goes on from that record, and the time that the server
was away has passed for the drill too, at the pace that is given now. After an
hour without a record a drill is over, for whoever starts then.

With --new-drill it is over at once: the clock of drills tells the machine's
time until the next first report. What the last drill left open stays open,
and waits for times that may lie far ahead. Give it once: with it, a restart in
the middle of the new drill would begin another. Several processes (--role)
need the same --time-scale, and --new-drill each, before the first report.

The ledger's log is signed with a key that the first start makes, in the data
folder: tocsin log key prints how to verify it. At every start, and every
--scrub, the whole record is held against what was signed. Damage stops
certification, fails /readyz and is logged loudly; where the stream has become
shorter than what was certified, nothing is taken any more.

/healthz says whether every service works, /readyz whether reports can be
taken, /metrics what can be counted.

Without identities (tocsin init makes them) whoever reaches a door may use it: it is
for trying out, every start says so, and every door listens on loopback only. With
identities nobody is let in without a credential. Beyond loopback every door needs
TLS: --tls-cert and --tls-key, which are read again when they change, and on SIGHUP. With
--tls-client-ca a certificate that this authority signed proves over HTTP who asks.

With --oidc-issuer and --oidc-client-id people log in with a provider of OpenID
Connect: over HTTP its ID token for this client, as the header Authorization: Bearer
TOKEN, proves who asks. Whose it is says tocsin credential person. The provider is
asked for its keys when the first such token comes; the server starts without it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.TimeScale < 1 || cfg.TimeScale > maxTimeScale {
				return &usageError{fmt.Errorf("--time-scale is from 1 to %d, not %d", maxTimeScale, cfg.TimeScale)}
			}
			var err error
			if keep != "" {
				if cfg.Keep, err = statute.ParseMonths(keep); err != nil {
					return &usageError{fmt.Errorf("--keep: %w", err)}
				}
			}
			if cfg.DiskReserve, err = humanize.ParseBytes(reserve); err != nil {
				return &usageError{fmt.Errorf("--disk-reserve: %w", err)}
			}
			if cfg.StoreKey, err = storeKey(keyFile); err != nil {
				return err
			}
			if tls != (app.TLS{}) {
				if tls.Cert == "" || tls.Key == "" {
					return &usageError{errors.New("--tls-cert and --tls-key go together")}
				}
				cfg.TLS = &tls
			}
			if oidc != (app.OIDC{}) {
				if oidc.Issuer == "" || oidc.ClientID == "" {
					return &usageError{errors.New("--oidc-issuer and --oidc-client-id go together")}
				}
				if err := oidc.Check(); err != nil {
					return &usageError{fmt.Errorf("--oidc-issuer: %w", err)}
				}
				cfg.OIDC = &oidc
			}
			if cfg.Connections.Total < 0 || cfg.Connections.PerAddress < 0 {
				return &usageError{errors.New("--max-connections and --max-connections-per-address are numbers above 0")}
			}
			if cfg.Scrub < 0 {
				return &usageError{fmt.Errorf("--scrub is a time, not %s", cfg.Scrub)}
			}
			if len(cfg.Roles) > 0 && !slices.Contains(cfg.Roles, intake) && !cmd.Flags().Changed("http-listen") {
				cfg.HTTPListen = "" // several processes on one machine: only intake's has the well-known door
			}
			level := zapcore.InfoLevel
			if verbose {
				level = zapcore.DebugLevel
			}
			log := e.logger(level)
			if rules.register == "" {
				log.Warn("no --register: using the example register, whose operators and desks are not real")
			}
			return e.serve(cmd.Context(), cfg, rules, log, nil)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", "./tocsin-data", "folder for everything that is kept")
	f.StringVar(&cfg.NATSListen, "nats-listen", "127.0.0.1:4222", "HOST:PORT of the embedded NATS server; port 0 chooses one")
	f.StringVar(&cfg.HTTPListen, "http-listen", "127.0.0.1:8080", "HOST:PORT of the HTTP door; port 0 chooses one; empty opens none; by default none where --role leaves intake out")
	f.IntVar(&cfg.Connections.Total, "max-connections", 0, "most connections of each port; beyond it the oldest that has not authenticated is closed (default: what the limit of open files allows, at most 4096)")
	f.IntVar(&cfg.Connections.PerAddress, "max-connections-per-address", 0, "most connections of one address (IPv6: one /64) to each port; raise it behind a proxy (default: half of --max-connections)")
	f.StringSliceVar(&cfg.Roles, "role", nil, "a service to run, repeatable: "+strings.Join(app.Roles(), ", "))
	f.StringVar(&cfg.NATS, "nats", "", "URL of an existing NATS to use instead of the embedded one")
	f.StringVar(&cfg.NATSCA, "nats-ca", "", "certificate of the authority that signed that NATS's, as PEM (default: those the machine trusts)")
	f.StringVar(&cfg.Monitor, "nats-monitor", "", "its monitoring address, such as http://127.0.0.1:8222")
	f.BoolVar(&cfg.Unverified, "unverified-durability", false, "use it although nobody can show that it syncs every write")
	f.IntVar(&cfg.TimeScale, "time-scale", 1, "how many times faster the clock of drills runs")
	f.BoolVar(&cfg.NewDrill, "new-drill", false, "leave the drill that was running behind and begin anew with the next first report")
	f.DurationVar(&cfg.Scrub, "scrub", 24*time.Hour, "how long after one check of the whole record the next begins; 0 checks at the start only")
	f.StringVar(&tls.Cert, "tls-cert", "", "certificate of the server, with its chain, as PEM")
	f.StringVar(&tls.Key, "tls-key", "", "its private key, as PEM")
	f.StringVar(&tls.ClientCA, "tls-client-ca", "", "authority that signed clients' certificates, as PEM")
	f.StringVar(&oidc.Issuer, "oidc-issuer", "", "URL of the provider of OpenID Connect where people log in, as its tokens name it")
	f.StringVar(&oidc.ClientID, "oidc-client-id", "", "what this server is to that provider: the audience of its tokens")
	f.StringVar(&keyFile, "store-key-file", "", "file with the key that encrypts the streams on disk (or TOCSIN_STORE_KEY, the key itself)")
	f.StringVar(&keep, "keep", "", "how long records are kept before they may be archived, such as P2Y (default, and least: what the statutes demand)")
	f.StringVar(&reserve, "disk-reserve", "0", "how much of the disk reports leave free, such as 512MiB: below it they are refused, and acknowledgements and clocks go on; 0 is a twentieth of the disk, from 16 MiB to 1 GiB")
	f.StringVar(&cfg.LogName, "log-name", "", "name of the log, such as log.example.org/tocsin, for when its key is made (default: a random one)")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	rules.flags(cmd)
	return cmd
}

// storeKey is the key that encrypts the streams, which never stands on a command
// line, where others of the machine could read it.
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

// maxTimeScale bounds how fast a drill's clock may run: a quarter of a second,
// which a timer may be late, is then a quarter of an hour.
const maxTimeScale = 3600

const intake = "intake" // the role whose process has the HTTP doors for reports

// serve runs the product until ctx ends or a service fails. started is called
// when requests are answered.
func (e *environment) serve(ctx context.Context, cfg app.Config, rules rules, log *logging.Log, started func(*app.App) error) error {
	hangups := make(chan os.Signal, 1) // never given back: a late one must not end the process either
	signal.Notify(hangups, syscall.SIGHUP)
	var err error
	if cfg.Rulebook, err = app.LoadRules(rules.statutes, rules.register); err != nil {
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
	fmt.Fprintf(e.errOut, "NATS  %s\n", a.NATSAddr())
	if a.HTTPAddr() != "" {
		fmt.Fprintf(e.errOut, "HTTP  %s/v1/reports\n", a.HTTPAddr())
	}
	fmt.Fprintf(e.errOut, "data  %s\nready\n", cfg.Data)
	if started != nil {
		if err := started(a); err != nil {
			return err
		}
	}
	return a.Wait(ctx)
}

// reloadOn reloads what can be reloaded with each signal, until ctx ends.
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
