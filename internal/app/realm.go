package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/services/classifier"
	"github.com/tocsin-project/tocsin/services/deadline"
	"github.com/tocsin-project/tocsin/services/desk"
	"github.com/tocsin-project/tocsin/services/intake"
	"github.com/tocsin-project/tocsin/services/ledger"
	"github.com/tocsin-project/tocsin/services/router"
)

// realm is the whole path once: the real one, or that of drills. The services are the
// same, but each has a bus that knows only the subjects and streams of its own realm. So
// no drill can reach a real desk, and no real report a drill.
type realm struct {
	name      event.Realm
	rulebook  grading.Rulebook
	data      string
	bus       *bus.Bus
	endpoints *endpoint.Server
	clock     clock.Clock
	log       *zap.Logger
	intake    *intake.Intake // nil if intake does not run here
	ledger    *ledger.Ledger // nil if the ledger does not run here
	routes    bool           // the router runs here
	drill     *drill         // nil if the clock is that of the configuration
	skew      atomic.Int64   // by how much the engine's clock is ahead of ours, in nanoseconds
}

// openRealm adds a realm, with its streams and the rules in force.
func (a *App) openRealm(ctx context.Context, name event.Realm) error {
	r := &realm{name: name, routes: a.runs(router.Name), rulebook: a.cfg.Rulebook, data: a.cfg.Data, clock: a.cfg.Clock, log: a.cfg.Log}
	if name == event.Drill {
		r.log = r.log.Named(string(name))
		if a.cfg.TimeScale > 0 {
			r.drill = &drill{clock: clock.NewScaled(a.cfg.TimeScale), log: r.log, idleLimit: drillIdleLimit}
			r.clock = r.drill.clock
		}
	}
	var err error
	cfg := bus.Config{Realm: name, Clock: r.clock, Log: r.log, Unverified: a.cfg.Unverified, Connect: a.dial}
	answering := endpoint.Config{Log: r.log, Memory: a.memory}
	if a.server != nil {
		cfg.Engine, answering.WatchUnsent = a.server, a.server.WatchUnsent
	}
	if a.identities != nil {
		answering.Identities = a.identities
	}
	r.bus, err = bus.Open(ctx, a.nc, cfg)
	if err != nil {
		return err
	}
	r.endpoints = endpoint.New(r.bus, answering)
	a.realms = append(a.realms, r)
	if err := a.compareClock(ctx, r); err != nil {
		return err
	}
	if a.runs(ledger.Name) {
		// Before anything is written: the record must be as it was left.
		if r.ledger, err = ledger.Open(ctx, r.ledgerDeps(a)); err != nil {
			return err
		}
	} else if err := r.freezeIfTruncated(ctx); err != nil {
		return err
	}
	if r.drill != nil {
		r.drill.bus = r.bus
		if err := r.drill.resume(ctx, a.cfg.NewDrill); err != nil {
			return err
		}
	}
	if r.bus.FreezeReason() == "" {
		if err := recordRules(ctx, r.bus, r.clock, r.rulebook); err != nil {
			return err
		}
	}
	if a.runs(intake.Name) {
		r.intake = intake.New(intake.Deps{
			Bus: r.bus, Endpoints: r.endpoints, Clock: r.clock, Log: r.log.Named(intake.Name),
			Register: r.rulebook.Register, Statutes: r.rulebook.Statutes, Late: r.rulebook.Late, Outlook: r.rulebook.Outlook, InOtherRealm: a.inOtherRealm(name),
			ClockDoubt: func() string { return a.cfg.Watch.Check().Doubt },
		})
	}
	return nil
}

// drill is the clock of drills. Its anchor is a record of the drill, with our stamp and
// the engine's, so that every process computes the same time.
type drill struct {
	clock     *clock.Scaled
	bus       *bus.Bus
	log       *zap.Logger
	idleLimit time.Duration // how long after its last record a drill is over
	last      uint64        // the last record of an incident when this process started
}

// drillIdleLimit is how long nothing may be recorded before a drill counts as over.
const drillIdleLimit = time.Hour

// resume resumes the clock of a drill in progress, unless a new one is to begin. It
// must be called before anything reads the clock.
func (d *drill) resume(ctx context.Context, restart bool) error {
	last, err := d.bus.Last(ctx, "incident.>")
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	d.last = last.Sequence
	for seq := d.last; err == nil && !isStamped(last) && seq > 1 && d.last-seq < maxUnstamped; seq-- {
		if last, err = d.bus.Get(ctx, seq-1); errors.Is(err, bus.ErrNotFound) {
			err = nil
		}
	}
	if err != nil || restart || !isStamped(last) || (clock.System{}).Now().Sub(last.StoredAt) > d.idleLimit {
		return err
	}
	d.clock.Run(last.Time, last.StoredAt)
	d.log.Info("drill resumed; --new-drill begins a new one", zap.Time("lastRecord", last.Time), zap.Time("now", d.clock.Now()))
	return nil
}

// maxUnstamped bounds how many records without a stamp are skipped: our services did not
// write them.
const maxUnstamped = 100

func isStamped(s event.Stored) bool {
	return strings.HasPrefix(s.Subject, "incident.") && !s.Time.IsZero() && event.ParseSubject(s.Subject).Kind != event.KindRead
}

// run starts the clock at the next first report, unless a drill was resumed: before that
// report, its sender could not know what time to write into it.
func (d *drill) run(ctx context.Context) error {
	if !d.clock.Running() {
		if err := d.waitForFirstReport(ctx); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// waitForFirstReport waits for the first report after this process started.
func (d *drill) waitForFirstReport(ctx context.Context) error {
	began := errors.New("a drill has begun")
	err := d.bus.Tail(ctx, d.last+1, []string{event.AllAccepted}, func(_ context.Context, batch []event.Stored) error {
		for _, first := range batch {
			if isStamped(first) {
				d.clock.Run(first.Time, first.StoredAt)
				d.log.Info("drill started: its clock runs", zap.Time("from", first.Time))
				return began
			}
		}
		return nil
	})
	if errors.Is(err, began) {
		return nil
	}
	return err
}

// screens asks the realm's deadline service which screens are connected.
func (r *realm) screens(ctx context.Context) []api.Screen {
	var answer api.DesksAnswer
	_ = r.endpoints.Ask(ctx, api.EndpointDesks, struct{}{}, &answer) // a failed request shows as the service's own health
	return answer.Screens
}

func (r *realm) runIntake(ctx context.Context) error { return r.intake.Run(ctx) }

func (r *realm) runClassifier(ctx context.Context) error {
	d := classifier.Deps{Bus: r.bus, Clock: r.clock, Rulebook: r.rulebook}
	if r.routes {
		d.Escalations = router.Escalations(r.clock, r.name == event.Drill)
	}
	return classifier.Run(ctx, d)
}

func (r *realm) runRouter(ctx context.Context) error {
	return router.Run(ctx, router.Deps{Bus: r.bus, Clock: r.clock, Register: r.rulebook.Register})
}

func (r *realm) runDesk(ctx context.Context) error {
	return desk.Run(ctx, desk.Deps{Bus: r.bus, Endpoints: r.endpoints, Clock: r.clock, Register: r.rulebook.Register, Citations: r.citations()})
}

func (r *realm) runDeadline(ctx context.Context) error {
	return deadline.Run(ctx, deadline.Deps{Bus: r.bus, Endpoints: r.endpoints, Clock: r.clock, Log: r.log.Named(deadline.Name), Register: r.rulebook.Register})
}

func (r *realm) runLedger(ctx context.Context) error { return r.ledger.Run(ctx) }

func (r *realm) ledgerDeps(a *App) ledger.Deps {
	dir, name := "ledger", a.cfg.LogName
	if r.name == event.Drill {
		dir = "exercise-ledger"
		if name != "" {
			name += "/exercise"
		}
	}
	return ledger.Deps{
		Bus: r.bus, Endpoints: r.endpoints, Clock: r.clock, Log: r.log.Named(ledger.Name), Dir: filepath.Join(r.data, dir), Exercise: r.name == event.Drill,
		Origin: name, Alone: a.server != nil, Scrub: a.cfg.Scrub, Keep: a.keep, Citations: r.citations(),
	}
}

// citations returns those of the packs in force; none where no service of this process
// reads packs.
func (r *realm) citations() event.Citations {
	if r.rulebook.Statutes == nil {
		return nil
	}
	return r.rulebook.Statutes.Citations()
}

// freezeIfTruncated freezes writing if the stream has fewer records than a checkpoint
// kept beside it covers, and no ledger runs here to detect that. Whether the
// checkpoint's signature is valid is checked by its ledger, which lifts an unfounded
// freeze.
func (r *realm) freezeIfTruncated(ctx context.Context) error {
	kept, err := r.bus.Checkpoints(ctx)
	if err != nil {
		return err
	}
	head, err := r.bus.Head(ctx)
	if err != nil {
		return err
	}
	for log, signed := range kept {
		if cp, err := evidence.Claim(signed); err == nil && cp.Size > head {
			return r.bus.Freeze(ctx, log, ledger.FrozenReply)
		}
	}
	return nil
}
