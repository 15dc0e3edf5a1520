package app

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/classifier"
	"github.com/tocsin-project/tocsin/services/deadline"
	"github.com/tocsin-project/tocsin/services/desk"
	"github.com/tocsin-project/tocsin/services/intake"
	"github.com/tocsin-project/tocsin/services/ledger"
	"github.com/tocsin-project/tocsin/services/router"
)

// realm is the whole path once: the real one, or that of drills. The services
// are the same, but each holds a bus that knows the subjects and streams of its
// own realm only. So no drill can reach a real desk, and no real report a drill.
type realm struct {
	name     event.Realm
	rulebook classifier.Rulebook
	data     string
	bus      *bus.Bus
	clock    clock.Clock
	log      *zap.Logger
	intake   *intake.Intake // nil where intake does not run here
}

// open adds a realm, with its streams and the rules in force.
func (a *App) open(ctx context.Context, name event.Realm) error {
	r := &realm{name: name, rulebook: a.cfg.Rulebook, data: a.cfg.Data, clock: a.cfg.Clock, log: a.cfg.Log}
	if name == event.Drill {
		r.log = r.log.Named(string(name))
		if a.cfg.TimeScale > 1 {
			r.clock = clock.NewScaled(a.cfg.TimeScale)
		}
	}
	var err error
	r.bus, err = bus.Open(ctx, a.nc, bus.Config{Realm: name, Clock: r.clock, Log: r.log, Unverified: a.cfg.Unverified})
	if err != nil {
		return err
	}
	a.realms = append(a.realms, r)
	if err := recordRules(ctx, r.bus, r.clock, r.rulebook); err != nil {
		return err
	}
	if a.has(intake.Name) {
		r.intake = intake.New(intake.Deps{
			Bus: r.bus, Clock: r.clock, Log: r.log.Named(intake.Name),
			Register: r.rulebook.Register, Late: r.rulebook.Late,
		})
	}
	return nil
}

// startClock lets a drill's clock run faster from the first report on that comes
// while this process runs: before it, nobody could know what time to write into
// a report. A restart sets it back to the machine's; timers that are set then
// still come at their time by the drill's clock.
func (r *realm) startClock(ctx context.Context, s *clock.Scaled) error {
	head, err := r.bus.Head(ctx)
	if err != nil {
		return err
	}
	started := errors.New("the clock runs")
	err = r.bus.Tail(ctx, head+1, []string{event.AllAccepted}, func(context.Context, []event.Stored) error {
		s.Start()
		return started
	})
	if !errors.Is(err, started) {
		return err
	}
	r.log.Info("the drill's clock runs", zap.Time("from", r.clock.Now()))
	// Twice: what was being set as it started is set soon after.
	for range 2 {
		if err := r.bus.SetAgain(ctx); err != nil {
			r.log.Error("timers of a drill before may come late", zap.Error(err))
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// screens asks the realm's clocks which desks are there.
func (r *realm) screens(ctx context.Context, nc *nats.Conn) []event.Screen {
	reply, err := nc.RequestWithContext(ctx, r.name.Wire(event.DoorDesks), nil)
	if err != nil {
		return nil // what does not answer shows in its own line
	}
	var answer event.DesksAnswer
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil
	}
	return answer.Screens
}

func (r *realm) runIntake(ctx context.Context) error { return r.intake.Run(ctx) }

func (r *realm) runClassifier(ctx context.Context) error {
	return classifier.Run(ctx, classifier.Deps{Bus: r.bus, Clock: r.clock, Rulebook: r.rulebook})
}

func (r *realm) runRouter(ctx context.Context) error {
	return router.Run(ctx, router.Deps{Bus: r.bus, Clock: r.clock, Register: r.rulebook.Register})
}

func (r *realm) runDesk(ctx context.Context) error {
	return desk.Run(ctx, desk.Deps{Bus: r.bus, Clock: r.clock, Register: r.rulebook.Register})
}

func (r *realm) runDeadline(ctx context.Context) error {
	return deadline.Run(ctx, deadline.Deps{Bus: r.bus, Clock: r.clock, Log: r.log.Named(deadline.Name), Register: r.rulebook.Register})
}

func (r *realm) runLedger(ctx context.Context) error {
	dir := "index"
	if r.name == event.Drill {
		dir = "exercise-index"
	}
	return ledger.Run(ctx, ledger.Deps{
		Bus: r.bus, Clock: r.clock, Log: r.log.Named(ledger.Name), Dir: filepath.Join(r.data, dir), Exercise: r.name == event.Drill,
	})
}
