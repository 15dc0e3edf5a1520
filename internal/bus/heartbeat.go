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

// beatEvery is the interval of heartbeats.
const beatEvery = time.Second

// serviceLoop is one loop of a service.
type serviceLoop struct{ name, loop string }

// heartbeats holds the last heartbeat of each loop.
type heartbeats struct {
	mu   sync.Mutex
	last map[serviceLoop]time.Time
}

// Heartbeats returns the last heartbeat of each service that follows or has endpoints, by the
// machine's clock. The loop that does the work beats every second, so a handler that
// hangs stops the heartbeat, and so does a server that does not answer. For a service
// with several loops it is the oldest. A service that ended keeps its last one.
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

func (b *Bus) beat(h serviceLoop) {
	now := clock.Steady() // the machine's: a drill's clock may run faster
	b.heartbeats.mu.Lock()
	defer b.heartbeats.mu.Unlock()
	if b.heartbeats.last == nil {
		b.heartbeats.last = map[serviceLoop]time.Time{}
	}
	b.heartbeats.last[h] = now
}

// KeepAlive gives a sign of life for a loop of a service while the server answers, until
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

// Service returns the name under which a service of this bus's realm answers $SRV.PING,
// INFO and STATS.
func (b *Bus) Service(name string) string {
	if b.cfg.Realm == event.Real {
		return name
	}
	return string(b.cfg.Realm) + "-" + name
}

// Announce registers a service for $SRV.PING, INFO and STATS under its name, on a
// connection of its own.
func (b *Bus) Announce(name string) (*nats.Conn, micro.Service, error) {
	name = b.Service(name)
	nc, err := b.connect()
	if err != nil {
		return nil, nil, fmt.Errorf("bus: announce %s: %w", name, err)
	}
	svc, err := micro.AddService(nc, micro.Config{Name: name, Version: "1.0.0", Description: "tocsin " + name})
	if err != nil {
		return nil, nil, fmt.Errorf("bus: announce %s: %w", name, err)
	}
	return nc, svc, nil
}

// connect returns the connection for one service's requests.
func (b *Bus) connect() (*nats.Conn, error) {
	if b.cfg.Connect == nil {
		return b.nc, nil
	}
	nc, err := b.cfg.Connect()
	if err != nil {
		return nil, err
	}
	b.connsMu.Lock()
	defer b.connsMu.Unlock()
	b.conns = append(b.conns, nc)
	return nc, nil
}

// Request sends a request to a plain subject and returns the reply.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	return b.nc.RequestWithContext(ctx, b.cfg.Realm.Wire(subject), data)
}
