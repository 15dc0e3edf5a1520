package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Consumer finds or creates a durable consumer of a desk's escalations that starts at the
// given sequence, and returns its name. Through it a desk that was away misses nothing.
func (b *Bus) Consumer(ctx context.Context, desk, client string, from uint64) (string, error) {
	name := api.ScreenConsumer(desk, client)
	if _, err := b.ledger.Consumer(ctx, name); err == nil {
		return name, nil
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return "", fmt.Errorf("bus: consumer of %s: %w", desk, err)
	}
	_, err := b.ledger.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: b.cfg.Realm.Wire(event.EscalatedTo(desk)),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, from),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: deskAckWait, MaxAckPending: 1000,
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return "", fmt.Errorf("bus: consumer of %s: %w", desk, err)
	}
	return name, nil
}

// deskAckWait is how long a screen may take to acknowledge an escalation before it is
// delivered again: short, because a screen that died must not hide it.
const deskAckWait = 2 * time.Second

// Screen is the state of one screen of a desk as the engine knows it.
type Screen struct {
	Desk, Client string // tokens
	// SeenAt is the time of the last delivery to the screen or of its last
	// acknowledgement, whichever is later, by the engine's clock; zero if the engine
	// knows of none. The engine forgets both when it restarts.
	SeenAt time.Time
	// Waiting is true if a request of the screen is waiting for escalations now: somebody
	// is there. A screen that is showing one, or that is between two requests, does not
	// wait; check SeenAt or ask again.
	Waiting bool
}

// Screens returns every screen for which Consumer was called.
func (b *Bus) Screens(ctx context.Context) ([]Screen, error) {
	var out []Screen
	all := b.ledger.ListConsumers(ctx)
	for info := range all.Info() {
		desk, client, ok := api.ScreenOf(info.Name)
		if !ok {
			continue
		}
		s := Screen{Desk: desk, Client: client, Waiting: info.NumWaiting > 0}
		for _, seen := range []*time.Time{info.Delivered.Last, info.AckFloor.Last} {
			if seen != nil && seen.After(s.SeenAt) {
				s.SeenAt = seen.UTC()
			}
		}
		out = append(out, s)
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("bus: screens: %w", err)
	}
	return out, nil
}
