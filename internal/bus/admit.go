package bus

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/share"
)

const (
	// maxBacklog is how many records the services that make records may be behind what
	// is stored, and what is being stored, before reports wait for their turn. It is
	// well under what the feed keeps: beyond that they would read from disk again what
	// they did not keep up with in memory.
	maxBacklog = feedRecords / 2
	// maxWaiting is how many requests may wait for their turn.
	maxWaiting = 4096
	// admitTimeout is how long a request waits for its turn before it is refused. A
	// party that has not much waiting has its turn long before.
	admitTimeout = 3 * time.Second
	// admitPoll is how often the backlog is looked at where nothing moves: a service
	// that hangs stops counting by the mere passing of time.
	admitPoll = 100 * time.Millisecond
	// admitBatch is how many reports are let in, where there is room for them, before
	// the backlog is looked at again.
	admitBatch = 32
	// costBytes is how many bytes of a request cost as much as one report.
	costBytes = 4 << 10
	// maxCost bounds the cost of one request, so that it finds room some time.
	maxCost = maxBacklog / 2
)

// Work is what waits for a turn.
type Work struct {
	Party string // whose turns it takes
	Cost  int    // in reports: see Cost
	// Wait is how long it waits for its turn before it is refused; 0 means
	// admitTimeout.
	Wait time.Duration
}

// Cost returns how many ordinary reports cost as much as one of so many bytes, in
// processor time and in memory.
func Cost(bytes int) int { return min(1+bytes/costBytes, maxCost) }

// Behind is the error of work that waited for its turn too long. It names what was to
// be waited for.
type Behind string

func (b Behind) Error() string { return string(b) + " has fallen behind" }

var errLineFull = errors.New("too many requests wait for their turn")

// Turn is a place among the reports that are being worked on.
type Turn struct {
	gate *gate
	cost int64
	left atomic.Bool
}

// Leave gives the place to others. It may be called again, and of no turn.
func (t *Turn) Leave() {
	if t == nil || t.left.Swap(true) {
		return
	}
	t.gate.left.Add(uint64(t.cost))
	t.gate.inside.Add(-t.cost)
	t.gate.nudge()
}

// gate lets in as many reports as the services behind it can follow; the others wait
// for their turn in a queue of their party. What is taken beyond that would only wait,
// in memory and then on disk, and leave the services the less of the processors.
type gate struct {
	mu      sync.Mutex
	line    *share.Line[*arrival]
	stored  pace // records that the services have worked off
	taken   pace // reports that have been answered
	room    int  // reports that may be let in without another look at the backlog
	serving bool // serveLine runs

	inside atomic.Int64  // reports that were let in and have not left yet
	left   atomic.Uint64 // reports that have left
	moved  chan struct{} // a turn ended, or a service went on
}

// arrival is work in the line. Its start is called once: with a turn, or with why
// there is none.
type arrival struct{ start func(*Turn, error) }

func newGate() gate {
	return gate{line: share.NewLine[*arrival](maxWaiting), moved: make(chan struct{}, 1), stored: pace{least: minBacklog}, taken: pace{least: minBacklog}}
}

func (g *gate) nudge() {
	select {
	case g.moved <- struct{}{}:
	default:
	}
}

// turn lets a report in. The caller holds mu.
func (g *gate) turn(cost int) *Turn {
	g.room -= cost
	g.inside.Add(int64(cost))
	return &Turn{gate: g, cost: int64(cost)}
}

// Admit waits for a turn: until the services of this process that make records can
// follow, and the parties before it have had theirs. The caller leaves when the
// request has been answered. An error means that it is refused.
func (b *Bus) Admit(ctx context.Context, w Work) (*Turn, error) {
	type outcome struct {
		turn *Turn
		err  error
	}
	came := make(chan outcome, 1)
	b.enter(w, func(t *Turn, err error) { came <- outcome{t, err} })
	select {
	case o := <-came:
		return o.turn, o.err
	case <-ctx.Done():
		go func() { (<-came).turn.Leave() }()
		return nil, ctx.Err()
	}
}

// enter calls start when it is the turn of some work, at once where nobody waits and
// there is room, or when the work has waited too long.
func (b *Bus) enter(w Work, start func(*Turn, error)) {
	g := &b.gate
	g.mu.Lock()
	if g.line.Len() == 0 && b.hasRoom() == nil {
		t := g.turn(w.Cost)
		g.mu.Unlock()
		start(t, nil)
		return
	}
	if w.Wait == 0 {
		w.Wait = admitTimeout
	}
	out, full := g.line.Push(w.Party, w.Cost, clock.Steady().Add(w.Wait), &arrival{start})
	if !g.serving {
		g.serving = true
		go b.serveLine()
	}
	g.mu.Unlock()
	if full {
		out.start(nil, errLineFull)
	}
}

// serveLine lets in those who wait, until nobody does.
func (b *Bus) serveLine() {
	poll := time.NewTicker(admitPoll)
	defer poll.Stop()
	for b.serveOnce() {
		select {
		case <-b.gate.moved:
		case <-poll.C:
		}
	}
}

// serveOnce lets in as many as there is room for, refuses those who have waited too
// long, and reports whether more wait.
func (b *Bus) serveOnce() (more bool) {
	g := &b.gate
	g.mu.Lock()
	var why error
	for g.line.Len() > 0 {
		if why = b.hasRoom(); why != nil {
			break
		}
		next, cost, _ := g.line.Pop()
		t := g.turn(cost)
		g.mu.Unlock()
		next.start(t, nil)
		g.mu.Lock()
	}
	expired := g.line.Expire(clock.Steady())
	more = g.line.Len() > 0
	g.serving = more
	g.mu.Unlock()
	for _, a := range expired {
		a.start(nil, why)
	}
	return more
}

// hasRoom returns nil where one more may be let in, or [Behind]. The caller holds the
// lock of the gate.
func (b *Bus) hasRoom() error {
	if b.gate.room > 0 {
		return nil
	}
	var behind string
	if b.gate.room, behind = b.room(); behind != "" {
		return Behind(behind)
	}
	return nil
}

// room returns how many more reports all can follow, up to admitBatch of them; or, where
// there is no room, what one more would have to wait for. One report makes several
// records, so the reports in hand and the records behind have bounds of their own.
func (b *Bus) room() (reports int, behind string) {
	g, now := &b.gate, clock.Steady()
	most := g.taken.backlog(now, g.left.Load())
	inside := uint64(g.inside.Load())
	if inside >= most {
		return 0, "the disk"
	}
	name, records := b.slowest()
	if f := b.feed.Load(); f != nil && records >= g.stored.backlog(now, f.head()-min(f.head(), records)) {
		return 0, name
	}
	return int(min(most-inside, admitBatch)), ""
}

// pace measures how much is worked off in a second, so that the backlog never takes much
// longer than backlogTime: what a busy or slow machine has in
// hand is what everybody else waits for, whatever the order of the turns.
type pace struct {
	least uint64 // backlog that is always allowed
	since time.Time
	done  uint64  // what had been worked off then
	rate  float64 // a second; 0 before the first measurement
}

const (
	backlogTime = 125 * time.Millisecond
	paceWindow  = 50 * time.Millisecond
	// minBacklog lets a service that had nothing to do show how fast it is.
	minBacklog = 128
)

// backlog returns the backlog that is allowed at a time when so much has been worked
// off.
func (p *pace) backlog(now time.Time, done uint64) uint64 {
	switch passed := now.Sub(p.since); {
	case p.since.IsZero() || done < p.done || passed > 10*paceWindow:
		p.since, p.done = now, done // too long ago to tell anything
	case passed >= paceWindow:
		rate := float64(done-p.done) / passed.Seconds()
		if p.rate > 0 {
			rate = (rate + p.rate) / 2
		}
		p.since, p.done, p.rate = now, done, rate
	}
	if p.rate == 0 {
		return maxBacklog
	}
	return min(max(uint64(p.rate*backlogTime.Seconds()), p.least), maxBacklog)
}

// slowest names the service of this process that is furthest behind what is stored,
// and by how many records: by no less than maxBacklog where it has lost the feed, which
// keeps fewer of large records. A service that has not been up with the ledger since it
// began is not counted, for what it reads is old; nor is one that hangs, or anything
// while nothing may be written.
func (b *Bus) slowest() (name string, records uint64) {
	f := b.feed.Load()
	if f == nil || b.Held() != "" {
		return "", 0
	}
	begins, head := f.begins(), f.head()
	b.following.Range(func(key, _ any) bool {
		p := key.(*progress)
		at := p.at.Load()
		if at == 0 || at > head || clock.Running()-time.Duration(p.moved.Load()) >= stuckAfter {
			return true
		}
		n := head - at + 1
		if at < begins {
			n = max(n, maxBacklog)
		}
		if n > records {
			name, records = p.name, n
		}
		return true
	})
	return name, records
}

// progress is how far a follower is in the ledger.
type progress struct {
	name  string
	at    atomic.Uint64 // the record that it reads next; 0 before it has been up with the feed
	moved atomic.Int64  // when it last went on: see clock.Running
	nudge func()        // tells those who wait for it
}

func (p *progress) note(at uint64) {
	if p.at.Swap(at) != at {
		p.moved.Store(int64(clock.Running()))
		p.nudge()
	}
}

// stuckAfter is when a follower that does not go on is no longer slow but broken:
// then it helps nobody to take no reports.
const stuckAfter = 10 * time.Second
