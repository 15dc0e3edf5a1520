package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

const (
	// slack is how many records the services that make records may be behind what is
	// stored, and what is being stored, before a report waits at the door. It is well
	// under what the feed keeps: beyond that they would read from disk again what
	// they did not keep up with in memory.
	slack = feedRecords / 2
	// patience is how long a report waits at the door before it is refused.
	patience = time.Second
	// glance is how long it may wait before it looks again, where nothing moved: a
	// service that hangs stops counting by the mere passing of time.
	glance = 100 * time.Millisecond
	// atOnce is how many are let in, where there is room for them, before it is
	// looked at again how far the services are.
	atOnce = 32
)

// gate lets in what the services behind it can follow, in the order in which it
// came. What is taken beyond that would only wait, in memory and then on disk, and
// leave them the less of the processors.
type gate struct {
	turn   sync.Mutex    // whoever is first in the line holds it
	room   int           // so many more without another look; whoever holds turn has it
	inside atomic.Int64  // let in, and not answered yet
	moved  chan struct{} // somebody left, or a service went on
}

func newGate() gate { return gate{moved: make(chan struct{}, 1)} }

func (g *gate) nudge() {
	select {
	case g.moved <- struct{}{}:
	default:
	}
}

// Admit waits until the services of this process that make records can follow one
// more report, for at most a second, and returns what is to be called when it has
// been answered; or the service that is behind.
func (b *Bus) Admit(ctx context.Context) (leave func(), behind string) {
	return b.admit(ctx, clock.System{}.Now())
}

// admit is Admit for who came to the door at a time.
func (b *Bus) admit(ctx context.Context, came time.Time) (leave func(), behind string) {
	g := &b.gate
	g.turn.Lock()
	defer g.turn.Unlock()
	for g.room == 0 {
		if g.room, behind = b.room(); behind == "" {
			break
		}
		left := came.Add(patience).Sub(clock.System{}.Now())
		if left <= 0 {
			return nil, behind
		}
		select {
		case <-g.moved:
		case <-time.After(min(left, glance)):
		case <-ctx.Done():
			return nil, behind
		}
	}
	g.room--
	g.inside.Add(1)
	return func() { g.inside.Add(-1); g.nudge() }, ""
}

// room returns how many more reports all can follow, up to atOnce of them; or, where
// there is no room, what one more would have to wait for.
func (b *Bus) room() (reports int, behind string) {
	name, records := b.slowest()
	if taken := uint64(b.gate.inside.Load()) + records; taken < slack {
		return int(min(slack-taken, atOnce)), ""
	}
	if name == "" {
		name = "the disk"
	}
	return 0, name
}

// slowest names the service of this process that is furthest behind what is stored,
// and by how many records: by no less than slack where it has lost the feed, which
// keeps fewer of large records. A service that has not been up with the ledger since it
// began is not counted, for what it reads is old; nor is one that hangs, or anything
// while nothing may be written.
func (b *Bus) slowest() (name string, records uint64) {
	f := b.feed.Load()
	if f == nil || b.Held() != "" {
		return "", 0
	}
	now, begins, head := clock.System{}.Now(), f.begins(), f.head()
	b.following.Range(func(key, _ any) bool {
		p := key.(*progress)
		at := p.at.Load()
		if at == 0 || at > head || now.Sub(time.Unix(0, p.moved.Load())) >= stuckAfter {
			return true
		}
		n := head - at + 1
		if at < begins {
			n = max(n, slack)
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
	moved atomic.Int64  // when it last went on, in Unix nanoseconds
	nudge func()        // tells those who wait for it
}

func (p *progress) note(at uint64) {
	if p.at.Swap(at) != at {
		p.moved.Store(clock.System{}.Now().UnixNano())
		p.nudge()
	}
}

// stuckAfter is when a follower that does not go on is no longer slow but broken:
// then it helps nobody to take no reports.
const stuckAfter = 10 * time.Second
