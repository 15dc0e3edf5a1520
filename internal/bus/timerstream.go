package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus/agenda"
	"github.com/tocsin-project/tocsin/internal/event"
)

// lastTimer returns the sequence of the last timer in the stream, or 0.
func (b *Bus) lastTimer(ctx context.Context) (uint64, error) {
	m, err := b.timers.GetLastMsgForSubject(ctx, b.cfg.Realm.Wire("timer.>"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("bus: timers: %w", engineError(err))
	}
	return m.Sequence, nil
}

// quietTimers is how long no timer may arrive before all count as read: the last one may
// have been removed meanwhile.
const quietTimers = time.Second

// read adds the set timers to the agenda until ctx ends.
func (t ticker) read(ctx context.Context, set <-chan event.Stored, last uint64) {
	if last == 0 {
		t.agenda.NoteDelivered(0, true)
	}
	quiet := time.NewTimer(quietTimers)
	defer quiet.Stop()
	for {
		select {
		case s := <-set:
			t.agenda.Add(s, true)
			t.agenda.NoteDelivered(s.Sequence, s.Sequence >= last)
			quiet.Reset(quietTimers)
		case <-quiet.C:
			t.agenda.NoteDelivered(0, true)
		case <-ctx.Done():
			return
		}
	}
}

// fetchTimeout is how long one try to read timers waits for its answers.
const fetchTimeout = 5 * time.Second

// fetch reads timers from the stream and retries while the engine does not answer. A
// timer that the stream's leader does not have was cancelled.
func (t ticker) fetch(ctx context.Context, taken []*agenda.Entry) map[uint64]event.Stored {
	for {
		found, err := t.tryFetch(ctx, taken)
		if err == nil || ctx.Err() != nil {
			return found
		}
		t.log.Warn("timers could not be read", zap.Int("timers", len(taken)), zap.Error(err))
		select {
		case <-time.After(unavailablePause):
		case <-ctx.Done():
		}
	}
}

func (t ticker) tryFetch(ctx context.Context, taken []*agenda.Entry) (map[uint64]event.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	realm := t.bus.cfg.Realm
	subjects := make([]string, len(taken))
	for i, e := range taken {
		subjects[i] = e.Subject
	}
	found := map[uint64]event.Stored{}
	last, _ := t.bus.lastOf(ctx, event.StreamTimers, subjects) // the missing ones are read below
	for _, s := range last {
		found[s.Sequence] = s
	}
	leader, err := t.bus.nc.JetStream()
	if err != nil {
		return nil, err
	}
	for _, e := range taken {
		if _, has := found[e.Seq]; has {
			continue
		}
		m, err := leader.GetMsg(realm.Stream(event.StreamTimers), e.Seq, nats.Context(ctx))
		switch {
		case errors.Is(err, nats.ErrMsgNotFound):
		case err != nil:
			return nil, engineError(err)
		default:
			found[m.Sequence] = event.ReadStored(realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time)
		}
	}
	return found, nil
}

// Removing one sequence costs the engine a millisecond; removing all timers of a party
// below a sequence costs hardly more.
const (
	removeEvery  = 50 * time.Millisecond
	bulkRemoval  = 16 // timers of one party
	removeAtMost = 64 // one by one in a round
)

// remove removes finished timers until ctx ends. Those left then are delivered again, and
// their output is stored already.
func (t ticker) remove(ctx context.Context) {
	tick := time.NewTicker(removeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.removeFinished(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			t.removeFinished(last)
			return
		}
	}
}

func (t ticker) removeFinished(ctx context.Context) {
	done, below := t.agenda.Finished(bulkRemoval)
	left := removeAtMost
	for _, share := range slices.Sorted(maps.Keys(done)) {
		seqs := done[share]
		if limit := below[share]; limit > 0 && t.filters != nil {
			removed := true
			for _, filter := range t.filters(share) {
				err := t.bus.timers.Purge(ctx, jetstream.WithPurgeSubject(t.bus.cfg.Realm.Wire(filter)), jetstream.WithPurgeSequence(limit))
				removed = removed && err == nil
			}
			if removed {
				seqs = slices.DeleteFunc(seqs, func(seq uint64) bool { return seq < limit })
			}
		}
		seqs = slices.DeleteFunc(seqs, func(seq uint64) bool {
			if left--; left < 0 || ctx.Err() != nil {
				return false
			}
			return removed(seq, t.bus.timers.DeleteMsg(ctx, seq)) == nil
		})
		if len(seqs) > 0 {
			t.agenda.PutBack(share, seqs)
		}
	}
}
