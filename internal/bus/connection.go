package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Service returns the name under which a service of this bus's realm answers $SRV.PING,
// INFO and STATS.
func (b *Bus) Service(name string) string {
	if b.cfg.Realm == event.Real {
		return name
	}
	return string(b.cfg.Realm) + "-" + name
}

// Announce registers a service for $SRV.PING, INFO and STATS under its name, on a
// connection of its own. From then on Heartbeats waits for the loop of the service.
func (b *Bus) Announce(name, loop string) (*nats.Conn, micro.Service, error) {
	b.expect(serviceLoop{name, loop})
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

// Broadcast publishes a message to the current subscribers of a subject, once and without
// storing it: for what the ledger already holds.
func (b *Bus) Broadcast(subject string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bus: broadcast: %w", err)
	}
	if streamOf(subject) != "" {
		return fmt.Errorf("bus: broadcast: messages on %s are stored", subject)
	}
	if err := b.nc.Publish(b.cfg.Realm.Wire(subject), raw); err != nil {
		return fmt.Errorf("bus: broadcast: %w", err)
	}
	return nil
}
