package bus

import (
	"context"
	"time"

	"go.uber.org/zap"

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
	// Together are the subjects of records for which Handler needs only subject and body
	// and may be called concurrently, and whose order does not matter. If this process
	// writes such a record, Handler's output goes to disk with it where possible.
	Together []string
	// GiveUp makes the record that asks for manual review.
	GiveUp func(in event.Stored, attempts int, err error) (event.Record, error)
}

// Handler is the common interface of services: a record in, records out, or an error
// whose kind says retry, reject or stop (package fault). It must be a pure function of
// the record and of what it has read from the ledger, because it may be called again for
// the same record at any time.
type Handler interface {
	Handle(ctx context.Context, in event.Stored) ([]event.Record, error)
	// Refused is called when the ledger already holds another record (stands) under a
	// subject of Handle's output. It returns true to have the record handled again, and
	// false to accept the stored record.
	Refused(in, stands event.Stored) bool
	// Failed is called when the record could not be handled, before other records of its
	// key are handled. None of its output counts as stored, although a part may be.
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

// follow runs a follower on the stream in r.
func (b *Bus) follow(ctx context.Context, f Follower, r *run) error {
	_, svc, err := b.Announce(f.Name)
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
	if len(f.Together) > 0 {
		r.together = &together{filters: wired(b.cfg.Realm, f.Together), handler: f.Handler, stored: map[string]bool{}}
		b.together.Store(r.together, nil)
		defer b.together.Delete(r.together)
	}
	r.aside, r.again = map[uint64]*trial{}, make(chan *trial)
	r.busy, r.waiting = map[string]bool{}, map[string][]*trial{}
	r.landed, r.answered = make(chan *flight, maxFlights), make(chan *trial)
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
	together *together                                       // nil: no output is stored together with its record
	keep     func(ctx context.Context, through uint64) error // saves the settled position; nil: done does
	done     func(seq uint64)                                // called for each settled record; may be nil
	aside    map[uint64]*trial                               // not settled and not being stored: paused, waiting, or in the handler
	again    chan *trial                                     // trials whose pause is over
	air      []*flight                                       // output being stored
	landed   chan *flight                                    // finished flights
	busy     map[string]bool                                 // keys with a record being handled or stored
	waiting  map[string][]*trial                             // by busy key, in order
	ready    []*trial                                        // to be handled next
	slow     []*trial                                        // trials whose handler call takes long
	answered chan *trial                                     // slow trials that the handler has answered
	through  uint64                                          // highest record taken; those in aside are not settled
	saved    uint64
	looked   uint64 // at the last attempt to save
}

func (r *run) loop(ctx context.Context) error {
	pulse := heart{r.f.Name, "follows " + r.stream}
	r.bus.beat(pulse)
	tick, save := time.NewTicker(beatEvery), time.NewTicker(saveEvery)
	defer tick.Stop()
	defer save.Stop()
	for {
		var err error
		select {
		case s := <-r.open():
			err = r.take(ctx, r.trial(s))
		case t := <-r.again:
			err = r.take(ctx, t)
		case f := <-r.landed:
			err = r.land(ctx, f)
		case t := <-r.answered:
			err = r.handle(ctx, []*trial{r.back(t)})
		case <-tick.C:
			if !r.stalls() {
				r.bus.beat(pulse)
			}
		case <-save.C:
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
	r.looked = r.through
	for seq := range r.aside {
		settled = min(settled, seq-1)
	}
	for _, f := range r.air {
		for _, t := range f.trials {
			settled = min(settled, t.in.Sequence-1)
		}
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
