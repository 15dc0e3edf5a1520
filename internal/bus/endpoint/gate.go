package endpoint

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/share"
)

const (
	// maxWaiting is how many requests may wait for their turn.
	maxWaiting = 4096
	// admitTimeout is how long a request waits for its turn before it is refused. A party
	// with few waiting requests has its turn long before that.
	admitTimeout = 3 * time.Second
	// admitPoll is how often the backlog is checked when no service makes progress: a
	// service that hangs stops counting just because time passes.
	admitPoll = 100 * time.Millisecond
	// admitBatch is how many reports are admitted, if there is room, between two checks
	// of the backlog.
	admitBatch = 32
	// costBytes is how many bytes of a request cost as much as one report.
	costBytes = 4 << 10
	// maxCost bounds the cost of one request, so that it fits eventually.
	maxCost = bus.MaxBacklog / 2
)

// Work is a request that waits for its turn.
type Work struct {
	Party string // the party whose turn it uses
	Cost  int    // in reports: see Cost
	// Wait is how long it waits for its turn before it is refused; 0 means admitTimeout.
	Wait time.Duration
}

// Cost returns the cost of a request of a size, in ordinary reports, for processor time
// and memory.
func Cost(bytes int) int { return min(1+bytes/costBytes, maxCost) }

// Behind is the error of work that waited for its turn too long. It names the bottleneck.
type Behind string

func (b Behind) Error() string { return string(b) + " has fallen behind" }

var errQueueFull = errors.New("too many requests wait for their turn")

// Turn is a place among the admitted reports.
type Turn struct {
	gate *gate
	cost int64
	left atomic.Bool
}

// Leave frees the place. It may be called again, and on a nil Turn.
func (t *Turn) Leave() {
	if t == nil || t.left.Swap(true) {
		return
	}
	t.gate.left.Add(uint64(t.cost))
	t.gate.inside.Add(-t.cost)
	t.gate.nudge()
}

// gate admits as many reports as the services behind it can process; the others wait in a
// queue per party. More reports would only wait, in memory and then on disk, and take
// processor time from the services.
type gate struct {
	services services

	mu      sync.Mutex
	queue   *share.FairQueue[*arrival]
	stored  pace // rate at which the services process records
	taken   pace // rate at which reports are answered
	room    int  // reports that may be admitted before the backlog is checked again
	serving bool // serveQueue runs

	inside atomic.Int64  // reports that were admitted and have not left
	left   atomic.Uint64 // reports that have left
	moved  chan struct{} // a turn ended
}

// services are the record-making services of this process: see bus.Bus.
type services interface {
	Backlog() (b bus.Backlog, known bool)
	Progress() <-chan struct{}
}

// arrival is waiting work. start is called once, with a turn or with the reason for
// refusal.
type arrival struct{ start func(*Turn, error) }

func newGate(of services) gate {
	return gate{services: of, queue: share.NewFairQueue[*arrival](maxWaiting), moved: make(chan struct{}, 1), stored: pace{least: minBacklog}, taken: pace{least: minBacklog}}
}

func (g *gate) nudge() {
	select {
	case g.moved <- struct{}{}:
	default:
	}
}

// turn admits a report. The caller holds mu.
func (g *gate) turn(cost int) *Turn {
	g.room -= cost
	g.inside.Add(int64(cost))
	return &Turn{gate: g, cost: int64(cost)}
}

// Admit waits for a turn: until the record-making services of this process keep up and
// the parties before this one have had theirs. The caller leaves the turn when the
// request has been answered. An error means that the request is refused.
func (s *Server) Admit(ctx context.Context, w Work) (*Turn, error) {
	type outcome struct {
		turn *Turn
		err  error
	}
	admitted := make(chan outcome, 1)
	s.gate.enter(w, func(t *Turn, err error) { admitted <- outcome{t, err} })
	select {
	case o := <-admitted:
		return o.turn, o.err
	case <-ctx.Done():
		go func() { (<-admitted).turn.Leave() }()
		return nil, ctx.Err()
	}
}

// enter calls start with a turn, at once if nobody waits and there is room, or with an
// error when the work has waited too long.
func (g *gate) enter(w Work, start func(*Turn, error)) {
	g.mu.Lock()
	if g.queue.Len() == 0 && g.hasRoom() == nil {
		t := g.turn(w.Cost)
		g.mu.Unlock()
		start(t, nil)
		return
	}
	if w.Wait == 0 {
		w.Wait = admitTimeout
	}
	out, full := g.queue.Push(w.Party, w.Cost, clock.Steady().Add(w.Wait), &arrival{start})
	if !g.serving {
		g.serving = true
		go g.serveQueue()
	}
	g.mu.Unlock()
	if full {
		out.start(nil, errQueueFull)
	}
}

// serveQueue admits waiting work until none waits.
func (g *gate) serveQueue() {
	poll := time.NewTicker(admitPoll)
	defer poll.Stop()
	for g.serveOnce() {
		select {
		case <-g.moved:
		case <-g.services.Progress():
		case <-poll.C:
		}
	}
}

// serveOnce admits as much as there is room for, refuses work that has waited too long,
// and reports whether more waits.
func (g *gate) serveOnce() (more bool) {
	g.mu.Lock()
	var why error
	for g.queue.Len() > 0 {
		if why = g.hasRoom(); why != nil {
			break
		}
		next, cost, _ := g.queue.Pop()
		t := g.turn(cost)
		g.mu.Unlock()
		next.start(t, nil)
		g.mu.Lock()
	}
	expired := g.queue.Expire(clock.Steady())
	more = g.queue.Len() > 0
	g.serving = more
	g.mu.Unlock()
	for _, a := range expired {
		a.start(nil, why)
	}
	return more
}

// hasRoom returns nil if one more may be admitted, else [Behind]. The caller holds the
// gate's lock.
func (g *gate) hasRoom() error {
	if g.room > 0 {
		return nil
	}
	var behind string
	if g.room, behind = g.measure(); behind != "" {
		return Behind(behind)
	}
	return nil
}

// measure returns how many more reports all services can process, up to admitBatch, or
// the name of the bottleneck if there is no room. One report makes several records, so
// reports in flight and the backlog of records have separate bounds.
func (g *gate) measure() (reports int, behind string) {
	now := clock.Steady()
	most := g.taken.backlog(now, g.left.Load())
	inside := uint64(g.inside.Load())
	if inside >= most {
		return 0, "the disk"
	}
	if b, known := g.services.Backlog(); known && b.Records >= g.stored.backlog(now, b.Handled) {
		return 0, b.Service
	}
	return int(min(most-inside, admitBatch)), ""
}

// pace measures throughput, so that working off the backlog never takes much longer than
// backlogTime: the backlog of a busy or slow machine delays everybody, whatever the order
// of the turns.
type pace struct {
	least uint64 // always allowed
	since time.Time
	done  uint64  // processed by then
	rate  float64 // a second; 0 before the first measurement
}

const (
	backlogTime = 125 * time.Millisecond
	paceWindow  = 50 * time.Millisecond
	// minBacklog lets an idle service show how fast it is.
	minBacklog = 128
)

// backlog returns the backlog allowed at now, when done have been processed.
func (p *pace) backlog(now time.Time, done uint64) uint64 {
	switch passed := now.Sub(p.since); {
	case p.since.IsZero() || done < p.done || passed > 10*paceWindow:
		p.since, p.done = now, done // too long ago for a measurement
	case passed >= paceWindow:
		rate := float64(done-p.done) / passed.Seconds()
		if p.rate > 0 {
			rate = (rate + p.rate) / 2
		}
		p.since, p.done, p.rate = now, done, rate
	}
	if p.rate == 0 {
		return bus.MaxBacklog
	}
	return min(max(uint64(p.rate*backlogTime.Seconds()), p.least), bus.MaxBacklog)
}
