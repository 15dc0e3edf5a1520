package bus

import (
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// MaxBacklog is how many records the services of this process may be behind the ledger
// before reports must wait. It is well below the size of the feed: a service that falls
// behind the feed has to read from disk.
const MaxBacklog = feedRecords / 2

// Backlog is how far a service is behind the ledger.
type Backlog struct {
	Service string
	Records uint64 // stored and not handled yet
	Handled uint64 // the sequence that it has handled
}

// Backlog returns the backlog of the service of this process that is furthest behind; an
// empty one if none is. known is false if no service reads the ledger here.
func (b *Bus) Backlog() (backlog Backlog, known bool) {
	f := b.feed.Load()
	if f == nil {
		return Backlog{}, false
	}
	name, records := b.slowest()
	head := f.head()
	return Backlog{name, records, head - min(head, records)}, true
}

// Progress returns a channel that gets a signal when a service of this process has made
// progress in the ledger. It has one reader.
func (b *Bus) Progress() <-chan struct{} { return b.progressed }

// slowest returns the service of this process that is furthest behind, and by how many
// records: at least MaxBacklog if it has lost the feed, which keeps fewer records when
// they are large. It does not count a service that has never caught up with the ledger,
// because it reads old records, nor one that hangs, nor any while the ledger is frozen.
func (b *Bus) slowest() (name string, records uint64) {
	f := b.feed.Load()
	if f == nil || b.FreezeReason() != "" {
		return "", 0
	}
	begins, head := f.begins(), f.head()
	b.following.Range(func(key, _ any) bool {
		p := key.(*progress)
		at := p.at.Load()
		if at == 0 || at > head || clock.Uptime()-time.Duration(p.moved.Load()) >= stuckAfter {
			return true
		}
		n := head - at + 1
		if at < begins {
			n = max(n, MaxBacklog)
		}
		if n > records {
			name, records = p.name, n
		}
		return true
	})
	return name, records
}

// progress is a follower's progress in the ledger.
type progress struct {
	name  string
	at    atomic.Uint64   // next record to read; 0 until it first caught up with the feed
	moved atomic.Int64    // time of its last progress: see clock.Uptime
	moves chan<- struct{} // gets a signal; buffered for one
}

func (p *progress) note(at uint64) {
	if p.at.Swap(at) != at {
		p.moved.Store(int64(clock.Uptime()))
		select {
		case p.moves <- struct{}{}:
		default:
		}
	}
}

// stuckAfter is when a follower without progress counts as broken, not slow: then
// refusing reports helps nobody.
const stuckAfter = 10 * time.Second
