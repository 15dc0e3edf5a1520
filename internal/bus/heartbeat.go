package bus

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// beatEvery is the interval of heartbeats.
const beatEvery = time.Second

// serviceLoop is one loop of a service.
type serviceLoop struct{ name, loop string }

// heartbeats holds the last heartbeat of each loop.
type heartbeats struct {
	mu   sync.Mutex
	last map[serviceLoop]time.Time
}

// Heartbeats returns the last heartbeat of each service that follows or has endpoints, by
// the machine's clock. The loop that does the work beats every second, so a handler that
// hangs stops the heartbeat, and so does a server that does not answer. For a service
// with several loops it is the oldest, and zero until each of them has announced itself.
// A service that ended keeps its last one.
func (b *Bus) Heartbeats() map[string]time.Time {
	b.heartbeats.mu.Lock()
	defer b.heartbeats.mu.Unlock()
	out := map[string]time.Time{}
	for h, at := range b.heartbeats.last {
		if first, ok := out[h.name]; !ok || at.Before(first) {
			out[h.name] = at
		}
	}
	return out
}

// expect makes a service's heartbeat wait for that of a loop.
func (b *Bus) expect(l serviceLoop) { b.noteHeartbeat(l, time.Time{}) }

func (b *Bus) beat(l serviceLoop) {
	b.noteHeartbeat(l, clock.Steady()) // the machine's: a drill's clock may run faster
}

func (b *Bus) noteHeartbeat(l serviceLoop, at time.Time) {
	b.heartbeats.mu.Lock()
	defer b.heartbeats.mu.Unlock()
	if b.heartbeats.last == nil {
		b.heartbeats.last = map[serviceLoop]time.Time{}
	}
	if last := b.heartbeats.last[l]; !at.Before(last) {
		b.heartbeats.last[l] = at
	}
}

// KeepAlive sends the heartbeats of a loop of a service while the server answers, until
// ctx ends: see Heartbeats.
func (b *Bus) KeepAlive(ctx context.Context, service, loop string) {
	h := serviceLoop{service, loop}
	b.beat(h)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if b.nc.FlushTimeout(beatEvery) == nil {
				b.beat(h)
			}
		case <-ctx.Done():
			return
		}
	}
}
