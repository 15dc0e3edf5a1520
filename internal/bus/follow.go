package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Follower is a service that makes records out of records.
type Follower struct {
	Name     string   // of the service; its position is kept under it
	Subjects []string // what it reads; of timers: what it reads and removes
	Handler  Handler
	// Key groups records whose order matters: of one key, a record's output is
	// stored before the next record is handled. Others are handled meanwhile.
	Key func(event.Stored) string
	// Together are the subjects of records of which Handler needs nothing but subject
	// and body, and may be called by several goroutines, and whose order does not
	// matter. What it makes of such a record that this process writes goes to disk with
	// it, where it can.
	Together []string
	// GiveUp makes the record that says that a person must look.
	GiveUp func(in event.Stored, attempts int, err error) (event.Record, error)
}

// Handler is the one shape of a service: a record in, records out, or an error
// whose kind says retry, reject or stop (package fault). It must be a pure
// function of the record and of what it has read of the ledger, because it may
// be called again for the same record at any time. It sees neither the record's
// headers nor when the engine stored it.
type Handler interface {
	Handle(ctx context.Context, in event.Stored) ([]event.Record, error)
	// Refused is called when the ledger holds other records under the subjects
	// of Handle's output, such as this one. It returns true to have the record
	// handled again, and false where the first written simply stands.
	Refused(in, stands event.Stored) bool
	// Failed is called when the record could not be handled, before others of its
	// key are: nothing came of it so far.
	Failed(in event.Stored)
}

// Follow runs a follower until ctx ends or its handler says stop.
func (b *Bus) Follow(ctx context.Context, f Follower) error {
	done, err := b.position(ctx, f.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return b.follow(ctx, f, &run{stream: event.StreamLedger, through: done, saved: done,
		keep: func(ctx context.Context, seq uint64) error { return b.savePosition(ctx, f.Name, seq) }})
}

// follow runs a follower on the stream that r names.
func (b *Bus) follow(ctx context.Context, f Follower, r *run) error {
	svc, err := b.announce(f.Name)
	if err != nil {
		return err
	}
	defer func() { _ = svc.Stop() }() // fails only where the connection is gone
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stop func()
	if r.stream == event.StreamLedger {
		r.arrivals, stop, err = b.arrivals(ctx, f.Name, r.through+1, f.Subjects)
	} else {
		r.arrivals, stop, err = b.consume(ctx, r.stream, r.through+1, f.Subjects, Ahead)
	}
	if err != nil {
		return err
	}
	defer stop()
	r.bus, r.f, r.log = b, f, b.cfg.Log.Named(f.Name)
	if len(f.Together) > 0 {
		r.together = &together{filters: wired(b.cfg.Realm, f.Together), handler: f.Handler, stored: map[string]bool{}}
		b.together.Store(r.together, nil)
		defer b.together.Delete(r.together)
	}
	r.aside, r.again = map[uint64]*trial{}, make(chan *trial)
	r.keys, r.landed = map[string]bool{}, make(chan *flight, maxFlights)
	defer r.save(context.WithoutCancel(ctx))
	return r.loop(ctx)
}

// run is one follower at work. Only follow's goroutine touches it.
type run struct {
	bus      *Bus
	f        Follower
	log      *zap.Logger
	stream   string
	arrivals <-chan event.Stored
	together *together                                       // nil: none of it goes with its record
	keep     func(ctx context.Context, through uint64) error // saves what is settled
	aside    map[uint64]*trial                               // what waits for its next try, or for its time
	again    chan *trial                                     // those whose pause is over
	air      []*flight                                       // what is being stored
	keys     map[string]bool                                 // of what is in the air
	landed   chan *flight                                    // has room for all that is in the air
	through  uint64                                          // highest record taken; those in aside are not settled yet
	saved    uint64
	looked   uint64 // through, when it was last tried to save
}

func (r *run) loop(ctx context.Context) error {
	pulse := heart{r.f.Name, "follows " + r.stream}
	r.bus.beat(pulse)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case s := <-r.arrivals:
			err = r.take(ctx, r.trial(s))
		case t := <-r.again:
			err = r.take(ctx, t)
		case f := <-r.landed:
			err = r.land(ctx, f)
		case <-tick.C:
			r.bus.beat(pulse)
			r.save(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if r.through-r.looked >= saveAfter {
			r.save(ctx)
		}
	}
}

// saveAfter is by how much of the stream a follower lets its position lag under a load
// before it is due: after a crash that is handled again before anything new is.
const saveAfter = 4096

// trial is a record on its way through the handler.
type trial struct {
	in       event.Stored
	key      string
	attempts int // failed ones
	refusals int
	out      []event.Record
}

func (r *run) trial(in event.Stored) *trial { return &trial{in: in, key: r.f.Key(in)} }

const saveTimeout = 5 * time.Second

// maxRefusals bounds how often one record is handled again because others
// wrote first: each time somebody else made progress, so more is a fault.
const maxRefusals = 100

// take handles a record and all that wait behind it.
func (r *run) take(ctx context.Context, first *trial) error {
	batch, through := []*trial{first}, max(r.through, first.in.Sequence)
	for len(batch) < takeAtOnce {
		select {
		case s := <-r.arrivals:
			batch, through = append(batch, r.trial(s)), max(through, s.Sequence)
			continue
		case t := <-r.again:
			batch = append(batch, t)
			continue
		default:
		}
		break
	}
	ripe, err := r.ripe(ctx, batch)
	if err != nil {
		return err
	}
	if err := r.handle(ctx, ripe); err != nil {
		return err
	}
	r.through = through
	return nil
}

// flight is what came of records of different keys, while it is being stored. The
// next are handled meanwhile: else the processors would wait for the disk.
type flight struct {
	trials  []*trial
	results []Result
	err     error
}

const (
	takeAtOnce = 256 // records whose output is sent together
	maxFlights = 16
)

// handle takes records through the handler in rounds, so that two records of
// one key are never in the air at once.
func (r *run) handle(ctx context.Context, trials []*trial) error {
	for len(trials) > 0 {
		var now, later []*trial
		seen := map[string]bool{}
		for _, t := range trials {
			if seen[t.key] || r.keys[t.key] {
				later = append(later, t)
			} else {
				now = append(now, t)
			}
			seen[t.key] = true
		}
		if len(now) == 0 || len(r.air) == maxFlights {
			if err := r.await(ctx); err != nil {
				return err
			}
			continue
		}
		if err := r.round(ctx, now); err != nil {
			return err
		}
		trials = later
	}
	return nil
}

// round handles records of different keys and sends what comes out.
func (r *run) round(ctx context.Context, trials []*trial) error {
	var out []event.Record
	f := &flight{}
	for _, t := range trials {
		switch stored, soon := r.together.took(t.in.Subject); {
		case stored:
			delete(r.aside, t.in.Sequence)
			continue
		case soon:
			r.later(ctx, t, joinPause)
			continue
		}
		records, err := r.call(ctx, t.in)
		if err != nil {
			if err := r.failed(ctx, t, err); err != nil {
				return err
			}
			continue
		}
		if len(records) == 0 {
			delete(r.aside, t.in.Sequence)
			continue
		}
		t.out = records
		out = append(out, records...)
		f.trials = append(f.trials, t)
	}
	if len(out) == 0 {
		return nil
	}
	r.air = append(r.air, f)
	for _, t := range f.trials {
		r.keys[t.key] = true
	}
	s, err := r.send(ctx, out)
	if err != nil {
		f.err = err
		return r.land(ctx, f)
	}
	go func() {
		f.results, f.err = s.wait(ctx)
		r.landed <- f
	}()
	return nil
}

// await waits until something has landed.
func (r *run) await(ctx context.Context) error {
	select {
	case f := <-r.landed:
		return r.land(ctx, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// land settles what is on disk, and handles again what must be.
func (r *run) land(ctx context.Context, f *flight) error {
	r.air = slices.DeleteFunc(r.air, func(other *flight) bool { return other == f })
	for _, t := range f.trials {
		delete(r.keys, t.key)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f.err != nil {
		refused, err := r.oneByOne(ctx, f.trials)
		if err != nil {
			return err
		}
		return r.handle(ctx, refused)
	}
	var refused []*trial
	results := f.results
	for _, t := range f.trials {
		if err := r.settle(ctx, t, results[:len(t.out)], &refused); err != nil {
			return err
		}
		results = results[len(t.out):]
	}
	return r.handle(ctx, refused)
}

// oneByOne finds whose output the engine will not take.
func (r *run) oneByOne(ctx context.Context, trials []*trial) (refused []*trial, err error) {
	for _, t := range trials {
		results, err := r.commit(ctx, t.out)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			err = r.failed(ctx, t, err)
		} else {
			err = r.settle(ctx, t, results, &refused)
		}
		if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

func (r *run) settle(ctx context.Context, t *trial, results []Result, refused *[]*trial) error {
	for _, res := range results {
		if res.Existing == nil {
			continue
		}
		if !r.f.Handler.Refused(t.in, *res.Existing) {
			break
		}
		if t.refusals++; t.refusals > maxRefusals {
			return r.failed(ctx, t, fault.New(fault.Reject, r.f.Name, "refused %d times", t.refusals))
		}
		*refused = append(*refused, t)
		return nil
	}
	delete(r.aside, t.in.Sequence)
	return nil
}

// call runs the handler, again and again while the engine does not answer it:
// that is no fault of the record, and what stands behind it could not be
// handled either.
func (r *run) call(ctx context.Context, in event.Stored) ([]event.Record, error) {
	for {
		out, err := r.try(ctx, in)
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return out, err
		}
		r.log.Warn("a record waits for the engine", zap.Uint64("record", in.Sequence), zap.Error(err))
		select {
		case <-time.After(unavailablePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

const unavailablePause = 500 * time.Millisecond

// try runs the handler once; a panic is a record that cannot be handled.
func (r *run) try(ctx context.Context, in event.Stored) (out []event.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("handler panicked", zap.Uint64("record", in.Sequence), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = fault.New(fault.Retry, r.f.Name, "panic: %v", p)
		}
	}()
	in.Header, in.StoredAt = nil, time.Time{} // what we wrote ourselves has none yet
	return r.f.Handler.Handle(ctx, in)
}

// failed sets a record aside for its next try or, after the last one, records
// that a person must look.
func (r *run) failed(ctx context.Context, t *trial, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	kind := fault.KindOf(cause)
	if kind == fault.Stop {
		return fmt.Errorf("%s stops at record %d: %w", r.f.Name, t.in.Sequence, cause)
	}
	r.f.Handler.Failed(t.in)
	t.attempts++
	if kind == fault.Retry && t.attempts <= len(r.bus.cfg.Pauses) {
		r.later(ctx, t, r.bus.cfg.Pauses[t.attempts-1])
		return nil
	}
	r.log.Error("a record needs a person", zap.Uint64("record", t.in.Sequence), zap.String("subject", t.in.Subject),
		zap.Int("attempts", t.attempts), zap.Error(cause))
	record, err := r.f.GiveUp(t.in, t.attempts, cause)
	if err != nil {
		return fault.New(fault.Stop, r.f.Name, "record %d can neither be handled nor given up: %w", t.in.Sequence, err)
	}
	if _, err = r.commit(ctx, []event.Record{record}); err != nil {
		return err
	}
	delete(r.aside, t.in.Sequence)
	return nil
}

// later sets a record aside until a pause is over. It stays there, unsettled,
// until it has been handled or given up.
func (r *run) later(ctx context.Context, t *trial, pause time.Duration) {
	r.aside[t.in.Sequence] = t
	time.AfterFunc(pause, func() {
		select {
		case r.again <- t:
		case <-ctx.Done():
		}
	})
}

// save keeps through where everything is settled. It is a hint: losing it costs
// handling again.
func (r *run) save(ctx context.Context) {
	settled := r.through
	r.looked = r.through
	for seq := range r.aside {
		settled = min(settled, seq-1)
	}
	for _, f := range r.air {
		for _, t := range f.trials {
			settled = min(settled, t.in.Sequence-1)
		}
	}
	if settled == r.saved {
		return
	}
	try, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := r.keep(try, settled); err != nil {
		r.log.Debug("progress was not saved; more is handled again after a restart", zap.Error(err))
		return
	}
	r.saved = settled
}
