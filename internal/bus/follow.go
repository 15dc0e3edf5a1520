package bus

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Follower is a service that turns records into records.
type Follower struct {
	Name     string   // of the service; the key of its position
	Subjects []string // what it reads; empty for timers: it reads all
	Handler  Handler
	// Key groups records whose order matters: a record's output is stored before the next
	// record with the same key is handled. Records of other keys do not wait.
	Key func(event.Stored) string
	// Conflict is called when the ledger already holds another record (existing) under a
	// subject of Handler's output. It returns true to have the record handled again, and
	// false to accept the existing record. Nil accepts it.
	Conflict func(in, existing event.Stored) (again bool)
	// Failed is called when a record could not be handled, before other records of its key
	// are handled. None of its output counts as stored, although a part may be. May be nil.
	Failed func(in event.Stored)
	// SkipBeside skips records that this process has stored together with what Handler
	// would make of them (event.Record.Beside).
	SkipBeside bool
	// GiveUp makes the record that asks for manual review.
	GiveUp func(in event.Stored, attempts int, err error) (event.Record, error)
}

// Handler is the common interface of services: a record in, records out, or an error
// whose kind says retry, reject or stop (package fault). It must be a pure function of
// the record and of what it has read from the ledger, because it may be called again for
// the same record at any time.
type Handler interface {
	Handle(ctx context.Context, in event.Stored) ([]event.Record, error)
}

// Follow runs a follower until ctx ends or its handler says stop.
func (b *Bus) Follow(ctx context.Context, f Follower) error {
	b.expect(serviceLoop{f.Name, "follows " + event.StreamLedger})
	done, err := b.Position(ctx, f.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return b.follow(ctx, f, &run{stream: event.StreamLedger, through: done, saved: done,
		keep: func(ctx context.Context, seq uint64) error { return b.SavePosition(ctx, f.Name, seq) }})
}

// follow runs a follower on the stream in r.
func (b *Bus) follow(ctx context.Context, f Follower, r *run) error {
	_, svc, err := b.Announce(f.Name, "follows "+r.stream)
	if err != nil {
		return err
	}
	defer func() { _ = svc.Stop() }() // fails only if the connection is lost
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.arrivals == nil {
		var stop func()
		if r.arrivals, stop, err = b.arrivals(ctx, f.Name, r.through+1, f.Subjects); err != nil {
			return err
		}
		defer stop()
	}
	r.bus, r.f, r.log = b, f, b.cfg.Log.Named(f.Name)
	r.open, r.lines = map[uint64]*task{}, map[string][]*task{}
	r.resumed, r.answered, r.stored = make(chan *task), make(chan *task), make(chan batch)
	defer r.save(context.WithoutCancel(ctx))
	defer func() {
		if r.worker != nil {
			close(r.worker.tasks)
		}
	}()
	return r.loop(ctx)
}

// run is one follower at work. A record that it takes becomes a task, which is open until
// its output is stored or a person was asked. Tasks whose turn it is among those of their
// key are ready; they are handled one after the other, and their output waits until the
// batch before it is stored. Only follow's goroutine touches a run.
type run struct {
	bus      *Bus
	f        Follower
	log      *zap.Logger
	stream   string
	arrivals <-chan event.Stored
	keep     func(ctx context.Context, through uint64) error // saves the settled position; nil: done does
	done     func(seq uint64)                                // called for each settled record; may be nil

	open         map[uint64]*task   // not settled, by sequence
	lines        map[string][]*task // open tasks in order, by key; the first is handled, stored, or waits for the engine
	ready        []*task            // to be handled next
	worker       *worker            // runs the handler; nil: the next call makes one
	slow         []*task            // whose handler call takes long
	blockedSince time.Time          // since when no call can begin because many are slow; zero: it can
	output       []*task            // handled, with output to be stored
	storing      *batch             // on its way to the disk; nil: none is
	resumed      chan *task         // whose pause is over
	answered     chan *task         // slow ones that the handler has answered
	stored       chan batch         // the one that was storing, with its results

	through   uint64 // highest record taken
	saved     uint64
	saveTried uint64 // at the last attempt to save
}

const (
	takeBatch = 256 // records that are handled before their output is stored
	// maxOutput bounds the tasks whose output waits to be stored.
	maxOutput = 1000
	// maxOpen bounds the open tasks; beyond it no more are taken from the stream.
	maxOpen = 50_000
)

// next returns the channel of arrivals, or nil while there is enough to do.
func (r *run) next() <-chan event.Stored {
	if len(r.open) >= maxOpen || len(r.output) >= maxOutput || len(r.ready) > 0 {
		return nil
	}
	return r.arrivals
}

func (r *run) loop(ctx context.Context) error {
	follows := serviceLoop{r.f.Name, "follows " + r.stream}
	r.bus.beat(follows)
	tick, save := time.NewTicker(beatEvery), time.NewTicker(saveEvery)
	defer tick.Stop()
	defer save.Stop()
	for {
		var err error
		select {
		case s := <-r.next():
			r.take(s)
		case t := <-r.resumed:
			r.resume(t)
		case t := <-r.answered:
			r.answer(t)
		case b := <-r.stored:
			r.storing = nil
			err = r.settleAll(ctx, b)
		case <-tick.C:
			if !r.stalls() {
				r.bus.beat(follows)
			}
		case <-save.C:
			r.save(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err == nil {
			err = r.work(ctx)
		}
		if err != nil {
			return err
		}
		if r.through-r.saveTried >= saveAfter {
			r.save(ctx)
		}
	}
}

// take makes a task of a record and of those that have arrived behind it.
func (r *run) take(s event.Stored) {
	arrivals := r.arrivals
	for n := 1; ; n++ {
		t := &task{in: s, key: r.f.Key(s)}
		r.open[s.Sequence] = t
		r.through = max(r.through, s.Sequence)
		r.enter(t)
		if n == takeBatch {
			return
		}
		select {
		case s = <-arrivals:
		default:
			return
		}
	}
}

// enter puts a task in the line of its key; the first in line is ready.
func (r *run) enter(t *task) {
	r.lines[t.key] = append(r.lines[t.key], t)
	if len(r.lines[t.key]) == 1 {
		r.ready = append(r.ready, t)
	}
}

// leave takes the first task out of the line of its key; the next is ready.
func (r *run) leave(t *task) {
	line := r.lines[t.key][1:]
	if len(line) == 0 {
		delete(r.lines, t.key)
		return
	}
	r.lines[t.key] = line
	r.ready = append(r.ready, line[0])
}

// work handles the ready tasks and stores their output.
func (r *run) work(ctx context.Context) error {
	for len(r.ready) > 0 && len(r.slow) < maxSlow {
		t := r.ready[0]
		r.ready = r.ready[1:]
		if !t.answered && r.f.SkipBeside && !r.checkBeside(ctx, t) {
			continue
		}
		if !t.answered && !r.call(ctx, t) {
			continue
		}
		if err := r.conclude(ctx, t); err != nil {
			return err
		}
	}
	switch {
	case len(r.slow) < maxSlow:
		r.blockedSince = time.Time{}
	case r.blockedSince.IsZero():
		r.blockedSince = clock.Steady()
	}
	r.store(ctx)
	return nil
}

// stallAfter is how long a record may wait for the engine, or for slow handler calls,
// before its follower stops its heartbeat.
const stallAfter = 2 * time.Second

// stalls reports whether a record has waited longer than stallAfter.
func (r *run) stalls() bool {
	before := clock.Steady().Add(-stallAfter)
	since := func(at time.Time) bool { return !at.IsZero() && at.Before(before) }
	for _, t := range r.open {
		if since(t.waitingSince) {
			return true
		}
	}
	return since(r.blockedSince) || r.storing != nil && since(r.storing.began)
}

// A follower saves its position now and then, under load after saveAfter records at the
// latest. After a crash the records behind it are handled again before anything new: a
// process that is killed again and again must get further each time.
const (
	saveEvery   = 200 * time.Millisecond
	saveAfter   = 4096
	saveTimeout = 5 * time.Second
)

// save stores the position through which everything is settled. It is a hint: losing it
// only costs handling records again.
func (r *run) save(ctx context.Context) {
	settled := r.through
	r.saveTried = r.through
	for seq := range r.open {
		settled = min(settled, seq-1)
	}
	if settled == r.saved || r.keep == nil {
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
