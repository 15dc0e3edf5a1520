package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// watchDesks opens the desks' consumers and reads them until close.
func (r *run) watchDesks(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	r.stopDesk = func() { cancel(); reading.Wait() }
	for i, desk := range desks {
		r.shown, r.shownAt = append(r.shown, map[int]uint64{}), append(r.shownAt, map[int]time.Time{})
		cons, err := r.open(ctx, r.site, desk)
		if err != nil {
			r.stopDesk()
			return err
		}
		reading.Go(func() {
			for ctx.Err() == nil {
				r.read(ctx, i, cons)
			}
		})
	}
	return nil
}

// read receives a desk's escalations and acknowledges them, until ctx or the iterator
// ends.
func (r *run) read(ctx context.Context, desk int, cons jetstream.Consumer) {
	in, err := cons.Messages(jetstream.PullMaxMessages(500), jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		time.Sleep(againPause)
		return
	}
	defer in.Stop()
	for {
		m, err := in.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return
		}
		if err != nil {
			continue // a missed heartbeat: the library fetches again
		}
		r.told(desk, m)
		_ = m.Ack() // a lost acknowledgement causes one more delivery
	}
}

// told notes a delivery to a desk.
func (r *run) told(desk int, m jetstream.Msg) {
	now := machine.Now()
	a := event.ParseSubject(m.Subject())
	i, ours := r.load.index(a.Incident)
	meta, err := m.Metadata()
	if !ours || err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch seq, met := r.shown[desk][i]; {
	case !met:
		r.shown[desk][i], r.shownAt[desk][i] = meta.Sequence.Stream, now
		if i >= r.warm {
			r.delays = append(r.delays, now.Sub(time.Unix(0, r.sent[i].Load())))
		}
		if !r.lastTold.IsZero() {
			r.gap = max(r.gap, now.Sub(r.lastTold))
		}
		r.last, r.lastTold = now, now
	case seq == meta.Sequence.Stream:
		r.again++
	default:
		r.twice++
	}
}
