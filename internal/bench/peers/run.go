package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

var machine clock.System

const (
	window         = 2000                   // reports in flight by default
	reconnectPause = 20 * time.Millisecond  // of the driver, between two attempts
	againAfter     = 10 * time.Second       // a report without an answer is sent again
	againPause     = 100 * time.Millisecond // as is one that was answered "again"
	stuckAfter     = 30 * time.Second       // without progress, everything missing counts as lost
	poll           = 2 * time.Millisecond
)

// run is one load on its way through a contender. The driver plays the operators and the
// three desks.
type run struct {
	*site
	load     load
	sent     []atomic.Int64 // when each report was first sent, in Unix nanoseconds
	window   int            // reports in flight
	survives bool           // continue when the contender is killed

	mu       sync.Mutex
	waiting  map[int]time.Time // reports without an answer, by when to send them again
	answers  [4]int            // by answer
	shown    []map[int]uint64  // by desk: the record that first told it of a report
	shownAt  []map[int]time.Time
	resent   int             // reports sent again
	again    int             // repeated deliveries of a record
	twice    int             // deliveries of a second record of the same escalation
	warm     int             // reports before those whose delays count
	delays   []time.Duration // from sending to delivery
	last     time.Time       // the last answer or delivery
	lastTold time.Time       // the last first delivery
	gap      time.Duration   // the longest time between two first deliveries since gapSince
	firstAck time.Time       // the first answer since it was zeroed
	stopDesk func()
	sub      *nats.Subscription
	inbox    string
	slots    chan struct{} // nil: no window
}

func (s *site) newRun(ctx context.Context, l load) (*run, error) {
	r := &run{site: s, load: l, sent: make([]atomic.Int64, l.events), window: window, waiting: map[int]time.Time{}, inbox: nats.NewInbox() + "."}
	var err error
	if r.sub, err = s.nc.Subscribe(r.inbox+"*", r.answered); err != nil {
		return nil, err
	}
	if err := r.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	s.nc.SetReconnectHandler(func(*nats.Conn) { r.reconnected() })
	return r, s.mark(ctx)
}

// publish sends one report.
func (r *run) publish(i int) {
	m := r.load.message(i)
	m.Reply = r.inbox + strconv.Itoa(i)
	if r.name != tocsinName {
		m.Header.Set(nats.MsgIdHdr, r.load.incident(i))
		if r.load.grave(i) {
			m.Header.Set(headerGrave, "1")
		}
	}
	now := machine.Now()
	first := r.sent[i].CompareAndSwap(0, now.UnixNano())
	r.mu.Lock()
	_, waits := r.waiting[i]
	if first || waits {
		r.waiting[i] = now.Add(againAfter)
	}
	r.mu.Unlock()
	if !first && !waits {
		return // its answer has come meanwhile
	}
	_ = r.nc.PublishMsg(m) // if unanswered, it is sent again
}

// answered records the answer to a report.
func (r *run) answered(m *nats.Msg) {
	i, err := strconv.Atoi(strings.TrimPrefix(m.Subject, r.inbox))
	if err != nil {
		return
	}
	now := machine.Now()
	a := r.answer(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, open := r.waiting[i]; !open {
		return
	}
	r.answers[a]++
	if a == again && r.slots != nil {
		r.waiting[i] = now.Add(againPause)
		return
	}
	if r.firstAck.IsZero() {
		r.firstAck = now
	}
	r.last = now
	delete(r.waiting, i)
	if r.slots != nil {
		<-r.slots
	}
}

// sendAll sends every report of the load, at most window at once, and repeats unanswered
// ones, until all are answered or nothing progresses any more.
func (r *run) sendAll(ctx context.Context) error {
	r.slots = make(chan struct{}, r.window)
	tick := time.NewTicker(againPause)
	defer tick.Stop()
	for i := 0; i < r.load.events; {
		select {
		case r.slots <- struct{}{}:
			r.publish(i)
			i++
		case <-tick.C:
			if err := r.sendAgain(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.await(ctx, func() bool { return len(r.waiting) == 0 })
}

// sendAgain repeats reports that have waited too long for an answer.
func (r *run) sendAgain() error {
	now := machine.Now()
	var late []int
	r.mu.Lock()
	for i, at := range r.waiting {
		if now.After(at) {
			late = append(late, i)
		}
	}
	r.resent += len(late)
	stuck := !r.last.IsZero() && now.Sub(r.last) > 2*stuckAfter
	r.mu.Unlock()
	if stuck {
		return fmt.Errorf("%s answers nothing\n%s", r.name, r.lines())
	}
	slices.Sort(late)
	for _, i := range late {
		r.publish(i)
	}
	return nil
}

// reconnected repeats every unanswered report: messages in flight are lost.
func (r *run) reconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.waiting {
		r.waiting[i] = time.Time{}
	}
}

// pace sends the reports at a rate, regardless of the answers.
func (r *run) pace(ctx context.Context, perSecond float64) {
	began := machine.Now()
	for i := range r.load.events {
		due := began.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
		if wait := due.Sub(machine.Now()); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		r.publish(i)
	}
}

// await returns when done, which is called under the lock, returns true, or when nothing
// has progressed for stuckAfter.
func (r *run) await(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for began := machine.Now(); ; {
		r.mu.Lock()
		last := r.last
		ok := done()
		r.mu.Unlock()
		if ok {
			return nil
		}
		if last.Before(began) {
			last = began
		}
		if machine.Now().Sub(last) > stuckAfter {
			return nil
		}
		if r.slots != nil {
			if err := r.sendAgain(); err != nil {
				return err
			}
		}
		if !r.survives && r.hasEnded() {
			return fmt.Errorf("%s ended: %w\n%s", r.name, r.err, r.lines())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell waits until every desk has been told of every grave report.
func (r *run) tell(ctx context.Context, want int) error {
	return r.await(ctx, func() bool { return r.toldOf() >= want*len(desks) })
}

// toldOf returns how many escalations the desks have. The caller holds the lock.
func (r *run) toldOf() (n int) {
	for _, d := range r.shown {
		n += len(d)
	}
	return n
}

// grade waits until so many graded records are on disk.
func (r *run) grade(ctx context.Context, want int) error {
	for tries := 0; ; tries++ {
		cons, err := r.js.CreateConsumer(ctx, r.graded, jetstream.ConsumerConfig{
			FilterSubject: event.AllGraded, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next[r.graded],
			AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Second,
		})
		if err != nil {
			return err
		}
		n := int(cons.CachedInfo().NumPending)
		if err := r.js.DeleteConsumer(ctx, r.graded, cons.CachedInfo().Name); err != nil {
			return err
		}
		if n >= want || time.Duration(tries)*againPause > stuckAfter {
			return nil
		}
		time.Sleep(gradePause)
	}
}

const gradePause = 10 * time.Millisecond

// close ends the reading of the run. The contender continues.
func (r *run) close() {
	if r.stopDesk != nil {
		r.stopDesk()
	}
	_ = r.sub.Unsubscribe() // fails only where the connection is gone
}
