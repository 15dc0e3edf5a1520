// Package deadline keeps every clock that runs in the pipeline. It decides no grade and
// carries out no duty; it records that a moment has come:
//
//   - incident.elapsed: time alone changes what the law demands, or a forward that
//     awaited a person goes without one. The classifier looks again, so a report
//     stored before the moment counts.
//   - incident.overdue: the house's target for an acknowledgement has passed. An
//     acknowledgement stored before the moment counts, even if this service has not
//     read it yet: it is looked up when the timer comes due.
//   - incident.reminded: something is still owed and its time is running out.
//   - incident.away: no screen of a desk was connected, and nobody at it acted, for
//     longer than half of a clock that runs for it.
//
// Timers are kept in a stream of their own (internal/bus/timer.go), so they survive
// this process. They are set from records, under names that follow from the records,
// and are cancelled when their condition is met; the record that a timer makes has a
// subject of its own. So everything here may be repeated. Nothing comes early: a timer
// is delivered at its time by the pipeline's clock or later, usually some milliseconds.
// When thousands come due at once, operators take turns (turn.go), and timers are
// delivered no faster than the classifier follows.
//
// A lost timer is set again from the ledger: at the start, once an hour, and when one
// is missing at its time (sweep.go).
package deadline

import (
	"context"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// Name is the service's name; its position on the ledger is kept under it.
const Name = "deadline"

// NameDue is the follower of timers that have come due: its records are in the timers'
// stream, so what it gives up has a name of its own.
const NameDue = Name + "-due"

const maxRequests = 64 // concurrent requests

// Deps are the service's dependencies. The register tells which desk is notified of
// another desk's silence.
type Deps struct {
	Bus       Bus
	Endpoints *endpoint.Server
	Clock     clock.Clock
	Log       *zap.Logger
	Register  *register.Register
}

// subjects are the records that set, cancel or announce something, and the acts of desks,
// which show that somebody is there.
var subjects = append(event.Filters(func(k event.Kind) bool { return k.Act }),
	event.AllGraded, event.AllEscalated, event.AllAcknowledged, event.AllReminded)

// Run keeps the clocks until ctx ends.
func Run(ctx context.Context, d Deps) error {
	p, err := newPresence(ctx, d)
	if err != nil {
		return err
	}
	known := newKnownTimers()
	sweep := newSweeper(d, setter{d, p, known})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.run(ctx) })
	g.Go(func() error { return sweep.run(ctx) })
	g.Go(func() error {
		return d.Bus.Follow(ctx, bus.Follower{
			Name: Name, Subjects: subjects,
			Handler: setter{d, p, known}, Key: incidentOf, GiveUp: d.Register.GiveUp(Name, d.Clock),
		})
	})
	g.Go(func() error {
		return d.Bus.FollowTimers(ctx, bus.TimerFollower{
			Follower: bus.Follower{
				Name:    NameDue,
				Handler: dueHandler{d, p, known}, Key: func(in event.Stored) string { return in.Subject },
				GiveUp: d.Register.GiveUp(NameDue, d.Clock),
			},
			Share: operatorOf, Rank: rankOf, Filters: timersOf, Missing: sweep.missing,
		})
	})
	g.Go(func() error {
		return d.Endpoints.Serve(ctx, Name, endpoint.Endpoint{Name: "desks", Subject: api.EndpointDesks, Limit: maxRequests, Answer: p.answer})
	})
	return g.Wait()
}

func incidentOf(in event.Stored) string {
	a := event.ParseSubject(in.Subject)
	return a.Operator + "." + a.Incident
}

// The kinds of timer; each is the first token of its timers' names.
const (
	timerElapsed    = "elapsed"
	timerReminder   = "reminder"
	timerEscalation = "escalation"
)

// nextDesk returns the desk that is notified when this one is silent, or "".
func (d Deps) nextDesk(id string) string {
	if desk, ok := d.Register.Desk(id); ok {
		return desk.Next
	}
	return ""
}
