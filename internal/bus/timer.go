package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus/agenda"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// A timer is a message of TIMERS. The follower of the timers keeps an agenda of them in
// memory, which it reads from the stream at the start, and delivers the due ones. The
// engine's own schedules are not used: it fires only some 1,500 a second, in the order in
// which they were set, across all parties, and loses those that come due while it recovers
// (services/decisions/2026-11-30-clocks.md). Timers that an earlier version scheduled
// with it are moved to timer.due at their time by the engine, and are read there as well.

// timerSet is the subject prefix of every timer that is set.
var timerSet = event.TimerSubject("")

// isTimer reports whether a record is a timer for the timers' stream.
func isTimer(r event.Record) bool { return strings.HasPrefix(r.Subject, timerSet) && !r.Due.IsZero() }

// Cancel removes timers by the subjects under which they were set, which may end in a
// wildcard. Cancelling a timer that is not set is no error. A timer that has come due may
// still be delivered, because FollowTimers may already have taken it: a handler must
// check whether the reason for the timer still exists.
//
// It is a purge by subject, which takes the engine a millisecond; if it is known that
// nothing is set, the engine is not asked.
func (b *Bus) Cancel(ctx context.Context, subjects ...string) error {
	for _, s := range subjects {
		if !strings.HasPrefix(s, timerSet) {
			return fault.New(fault.Reject, "bus: cancel", "%q is not a timer", s)
		}
		for _, s := range []string{s, event.DueSubject(s)} {
			wire := b.cfg.Realm.Wire(s)
			if a := b.agenda.Load(); a != nil && !a.Cancel(wire) {
				continue
			}
			if err := b.timers.Purge(ctx, jetstream.WithPurgeSubject(wire)); err != nil {
				return fmt.Errorf("bus: cancel %s: %w", s, engineError(err))
			}
		}
	}
	return nil
}

// TimerFollower is a follower of due timers.
type TimerFollower struct {
	Follower
	// Share returns the party of a timer: among due timers the parties take turns. Nil:
	// all timers are one party's.
	Share func(event.Stored) string
	// Rank orders a party's due timers: the highest comes first. Nil: in order of their
	// times.
	Rank func(event.Stored) int
	// Filters returns the subjects under which all timers of a party are set.
	Filters func(share string) []string
	// Missing is called for a timer that is not in the stream when it comes due, although
	// this process has not cancelled it. It must not block.
	Missing func(subject string)
}

// FollowTimers is Follow for due timers: the follower gets each under its DueSubject with
// the body and the Due that were set, at least once and never before its Due by the bus's
// clock. If that clock was set back since the timer was set, the time that it would
// otherwise show counts. The records' sequences are those of the timers' stream. A
// timer's output is stored before the timer is removed, so after a crash it is delivered
// again and must produce the same result. A timer that the handler sets under the same
// name replaces the one being handled.
func (b *Bus) FollowTimers(ctx context.Context, f TimerFollower) error {
	b.expect(serviceLoop{f.Name, "follows " + event.StreamTimers})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := agenda.New(b.cfg.Clock, f.Share, f.Rank)
	if !b.agenda.CompareAndSwap(nil, a) {
		return fault.New(fault.Stop, f.Name, "the timers are followed already")
	}
	defer b.agenda.Store(nil)
	set, stop, err := b.consume(ctx, event.StreamTimers, 1, nil, Ahead)
	if err != nil {
		return err
	}
	defer stop()
	last, err := b.lastTimer(ctx)
	if err != nil {
		return err
	}
	t := ticker{bus: b, agenda: a, out: make(chan event.Stored, timersAhead), filters: f.Filters, missing: f.Missing, log: b.cfg.Log.Named(f.Name)}
	done := make(chan struct{}, 3)
	for _, work := range []func(context.Context){
		func(ctx context.Context) { t.read(ctx, set, last) }, t.run, t.remove,
	} {
		go func() { work(ctx); done <- struct{}{} }()
	}
	err = b.follow(ctx, f.Follower, &run{stream: event.StreamTimers, arrivals: t.out, done: func(seq uint64) { a.Finish(seq, true) }})
	cancel()
	for range cap(done) {
		<-done
	}
	return err
}

// HasTimer reports whether a timer is set or being handled under its subject; known is
// false until all set timers have been read.
func (b *Bus) HasTimer(subject string) (set, known bool) {
	a := b.agenda.Load()
	if a == nil {
		return false, false
	}
	set = a.Has(b.cfg.Realm.Wire(subject)) || a.Has(b.cfg.Realm.Wire(event.DueSubject(subject)))
	return set, a.IsComplete()
}

// replaceHandled lets a timer that a handler sets replace the timer being handled, which
// stays in the stream until it is settled.
func replaceHandled(in event.Stored, out []event.Record) {
	for i := range out {
		if event.IsTimer(out[i].Subject) && event.DueSubject(out[i].Subject) == in.Subject && strings.Contains(in.Wire, timerSet) {
			out[i].Replaces = in.Sequence
		}
	}
}

// ticker delivers due timers.
type ticker struct {
	bus     *Bus
	agenda  *agenda.Agenda
	out     chan event.Stored
	filters func(string) []string
	missing func(string)
	log     *zap.Logger
}

const (
	// timerBatch is how many timers are taken from the agenda at once.
	timerBatch = 64
	// timersAhead is how many of them may wait for the follower while the next are read:
	// with one at a time it takes twice as long, and with many the other parties' timers
	// are delayed.
	timersAhead = 16
	// duePoll is the longest time between two checks for due timers, because a clock may
	// also be moved.
	duePoll = 250 * time.Millisecond
)

// run delivers due timers until ctx ends.
func (t ticker) run(ctx context.Context) {
	for ctx.Err() == nil {
		taken := t.agenda.TakeDue(t.bus.cfg.Clock, timerBatch)
		if len(taken) == 0 {
			t.sleep(ctx)
			continue
		}
		t.pace(ctx)
		found := t.fetch(ctx, taken)
		for _, e := range taken {
			s, has := found[e.Seq]
			if !has {
				if t.agenda.Finish(e.Seq, false) && t.missing != nil {
					t.missing(event.TimerSubject(event.TimerName(t.bus.cfg.Realm.Plain(e.Subject))))
				}
				continue
			}
			s.Subject = event.DueSubject(event.TimerSubject(event.TimerName(s.Subject)))
			select {
			case t.out <- s:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (t ticker) sleep(ctx context.Context) {
	wait := duePoll
	if due, has := t.agenda.Next(); has {
		wait = min(max(clock.Until(t.bus.cfg.Clock, due), time.Millisecond), duePoll)
	}
	select {
	case <-time.After(wait):
	case <-t.agenda.Changed():
	case <-ctx.Done():
	}
}

// Timers are delivered no faster than the services of this process keep up: behind
// thousands of records that wait for the classifier, the timers of the party whose turn
// comes next would wait as well.
const (
	paceBehind  = 512
	maxPaceWait = 100 * time.Millisecond
	pacePoll    = 2 * time.Millisecond
)

func (t ticker) pace(ctx context.Context) {
	for waited := time.Duration(0); waited < maxPaceWait && ctx.Err() == nil; waited += pacePoll {
		if _, behind := t.bus.slowest(); behind < paceBehind {
			return
		}
		time.Sleep(pacePoll)
	}
}
