package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// beatEvery is how often what works says so.
const beatEvery = time.Second

// heart is one loop of a service.
type heart struct{ name, loop string }

// hearts keeps when each loop was last seen working.
type hearts struct {
	mu   sync.Mutex
	seen map[heart]time.Time
}

// Pulse returns when each service that follows or has doors was last seen
// working, by the machine's clock: it beats every second from the loop that does
// the work, so a handler that hangs stops it, and so does a server that does
// not answer. Of a service with several loops it is the one that beat least
// lately. A service that ended stays where it was.
func (b *Bus) Pulse() map[string]time.Time {
	b.hearts.mu.Lock()
	defer b.hearts.mu.Unlock()
	out := map[string]time.Time{}
	for h, at := range b.hearts.seen {
		if first, ok := out[h.name]; !ok || at.Before(first) {
			out[h.name] = at
		}
	}
	return out
}

func (b *Bus) beat(h heart) {
	now := clock.Steady() // of the machine: a drill's clock may run faster
	b.hearts.mu.Lock()
	defer b.hearts.mu.Unlock()
	if b.hearts.seen == nil {
		b.hearts.seen = map[heart]time.Time{}
	}
	b.hearts.seen[h] = now
}

// beatUntilDone beats for as long as the server answers.
func (b *Bus) beatUntilDone(ctx context.Context, h heart) {
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

// Service is the name under which a service of this bus's realm answers
// $SRV.PING, INFO and STATS.
func (b *Bus) Service(name string) string {
	if b.cfg.Realm == event.Real {
		return name
	}
	return string(b.cfg.Realm) + "-" + name
}

// announce makes a service answer $SRV.PING, INFO and STATS under its name, on a
// connection of its own.
func (b *Bus) announce(name string) (*nats.Conn, micro.Service, error) {
	name = b.Service(name)
	nc, err := b.door()
	if err != nil {
		return nil, nil, fmt.Errorf("bus: announce %s: %w", name, err)
	}
	svc, err := micro.AddService(nc, micro.Config{Name: name, Version: "1.0.0", Description: "tocsin " + name})
	if err != nil {
		return nil, nil, fmt.Errorf("bus: announce %s: %w", name, err)
	}
	return nc, svc, nil
}

// door returns the connection for the requests to one service.
func (b *Bus) door() (*nats.Conn, error) {
	if b.cfg.Doors == nil {
		return b.nc, nil
	}
	nc, err := b.cfg.Doors()
	if err != nil {
		return nil, err
	}
	b.doorsMu.Lock()
	defer b.doorsMu.Unlock()
	b.doors = append(b.doors, nc)
	return nc, nil
}
