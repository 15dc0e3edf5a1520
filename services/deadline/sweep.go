package deadline

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// sweepEvery is how often the ledger is compared with the timers that are set.
var sweepEvery = time.Hour

const (
	nameSweep  = Name + "-sweep" // its position is below the records of all running clocks
	maxMissing = 1000            // timers waiting to be set again; the next sweep finds the rest
)

// sweeper sets missing timers again, as the records of the ledger demand.
type sweeper struct {
	deps   Deps
	setter setter
	missed chan string // subjects of timers that were missing when they came due
}

func newSweeper(d Deps, s setter) *sweeper {
	return &sweeper{deps: d, setter: s, missed: make(chan string, maxMissing)}
}

// missing queues a timer to be set again, unless the queue is full.
func (w *sweeper) missing(subject string) {
	select {
	case w.missed <- subject:
	default:
	}
}

// run sweeps until ctx ends.
func (w *sweeper) run(ctx context.Context) error {
	if err := w.ready(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := w.sweep(ctx); err != nil && ctx.Err() == nil {
			w.deps.Log.Warn("cannot compare timers with the ledger", zap.Error(err))
		}
		for due := false; !due; {
			select {
			case <-tick.C:
				due = true
			case subject := <-w.missed:
				if err := w.setAgain(ctx, subject, nil); err != nil && ctx.Err() == nil {
					w.deps.Log.Error("timer was lost; cannot set it again", zap.String("timer", subject), zap.Error(err))
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// ready waits until the bus knows which timers are set.
func (w *sweeper) ready(ctx context.Context) error {
	for {
		if _, known := w.deps.Bus.HasTimer(""); known {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sweep reads the ledger from the oldest record whose clock may still run, and sets the
// timers that are missing.
func (w *sweeper) sweep(ctx context.Context) error {
	from, err := w.deps.Bus.Position(ctx, nameSweep)
	if err != nil {
		return err
	}
	head, err := w.deps.Bus.Head(ctx)
	if err != nil || head == 0 {
		return err
	}
	open := newClocks()
	err = w.deps.Bus.Range(ctx, from+1, head, bus.AheadGently, func(batch []event.Stored) error {
		for _, s := range batch {
			open.note(s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	through, again := head, 0
	for subject, seq := range open.bySubject() {
		runs, set, err := w.compare(ctx, subject, open.givenUp)
		if err != nil {
			return err
		}
		if again += set; runs {
			through = min(through, seq-1)
		}
	}
	if again > 0 {
		w.deps.Log.Error("timers were lost and have been set again", zap.Int("timers", again))
	}
	return w.deps.Bus.SavePosition(ctx, nameSweep, through)
}

// clocks are the records whose clocks may still run, according to the ledger.
type clocks struct {
	graded    map[string]uint64 // by incident, in tokens
	escalated map[string]uint64 // by escalation
	givenUp   map[string]bool   // names of timers that could not be handled
}

func newClocks() *clocks {
	return &clocks{graded: map[string]uint64{}, escalated: map[string]uint64{}, givenUp: map[string]bool{}}
}

// note applies a record. One that cannot be decoded has set no timer.
func (c *clocks) note(s event.Stored) {
	switch a := event.ParseSubject(s.Subject); a.Kind {
	case event.KindGraded:
		incident := a.Operator + "." + a.Incident
		delete(c.graded, incident)
		if d, err := event.Decode[demands](s); err == nil && d.any() {
			c.graded[incident] = s.Sequence
		}
	case event.KindEscalated:
		if t, err := event.Decode[target](s); err == nil && t.AcknowledgeBy != nil {
			c.escalated[event.EscalationOf(s.Subject)] = s.Sequence
		}
	case event.KindAcknowledged:
		if a, err := event.Decode[event.Acknowledgement](s); err == nil && (a.AcknowledgeBy == nil || !a.At.After(*a.AcknowledgeBy)) {
			delete(c.escalated, event.EscalationOf(s.Subject))
		}
	case event.KindOverdue:
		delete(c.escalated, event.EscalationOf(s.Subject))
	case event.KindUnhandled:
		if u, err := event.Decode[event.Unhandled](s); err == nil && u.Timer {
			c.givenUp[event.TimerName(u.Subject)] = true
		}
	}
}

// bySubject returns the sequences of the records by their subjects.
func (c *clocks) bySubject() map[string]uint64 {
	out := make(map[string]uint64, len(c.graded)+len(c.escalated))
	for incident, seq := range c.graded {
		out["incident.graded."+incident+".*"] = seq
	}
	for id, seq := range c.escalated {
		out["incident.escalated."+id] = seq
	}
	return out
}
