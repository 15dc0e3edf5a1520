// Package deadline keeps every clock that runs in the pipeline. It decides no
// grade and carries out no duty; it says when a moment has come:
//
//   - incident.elapsed: time alone changes what the law demands, or a forward
//     that awaited a person goes without one. The classifier looks again, so a
//     report stored before the moment counts.
//   - incident.overdue: the house's target for an acknowledgement has passed.
//     An acknowledgement stored before the moment counts, whatever comes first
//     here: it is looked up when the timer comes due.
//   - incident.reminded: something is still owed and its time is running out.
//   - incident.away: no screen of a desk has been there, and nobody at it has
//     acted, for longer than half of a clock that runs towards it.
//
// Timers are kept in a stream of their own (internal/bus/timer.go), so they survive
// whatever this process does. They are set from records, under names that
// follow from the records, and are cancelled when what they wait for is met;
// what comes of one is a record of a subject of its own. So everything here may
// be done again. Nothing comes early: a timer is handed over at its time by the
// pipeline's clock or later: some milliseconds as a rule. When thousands come due at
// once, the operators' come in turn (turn.go), and no faster than the classifier follows.
//
// A timer that is lost is set again from the ledger: at the start, once an hour, and
// where one is missed when its time has come (sweep.go).
package deadline

import (
	"context"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// Name of the service; its position on the ledger is kept under it.
const Name = "deadline"

// nameDue is the follower of what has come due: its records are those of the
// timers' stream, so what it gives up has a name of its own.
const nameDue = Name + "-due"

const inHand = 64 // requests at one moment

// Deps are what the service works with. The register is asked for desks: who is
// told on silence.
type Deps struct {
	Bus      *bus.Bus
	Clock    clock.Clock
	Log      *zap.Logger
	Register *register.Register
}

// subjects are what sets, cancels or announces something, and the acts of
// desks, which are signs of life.
var subjects = []string{
	event.AllGraded, event.AllEscalated, event.AllAcknowledged, event.AllReminded,
	event.AllAsked, event.AllDetermined, event.AllTransferred, event.AllConfirmed, event.AllClosed,
}

// Run keeps the clocks until ctx ends.
func Run(ctx context.Context, d Deps) error {
	p, err := newPresence(ctx, d)
	if err != nil {
		return err
	}
	set := newArmed()
	sweep := newSweeper(d, setter{d, p, set})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.run(ctx) })
	g.Go(func() error { return sweep.run(ctx) })
	g.Go(func() error {
		return d.Bus.Follow(ctx, bus.Follower{
			Name: Name, Subjects: subjects,
			Handler: setter{d, p, set}, Key: incidentOf, GiveUp: d.Register.GiveUp(Name, d.Clock),
		})
	})
	g.Go(func() error {
		return d.Bus.FollowTimers(ctx, bus.TimerFollower{
			Follower: bus.Follower{
				Name:    nameDue,
				Handler: ringer{d, p, set}, Key: func(in event.Stored) string { return in.Subject },
				GiveUp: d.Register.GiveUp(nameDue, d.Clock),
			},
			Share: operatorOf, Rank: rankOf, Filters: timersOf, Missing: sweep.missing,
		})
	})
	g.Go(func() error {
		return d.Bus.Serve(ctx, Name, bus.Door{Name: "desks", Subject: event.DoorDesks, Limit: inHand, Answer: p.answer})
	})
	return g.Wait()
}

func incidentOf(in event.Stored) string {
	a := event.ParseSubject(in.Subject)
	return a.Operator + "." + a.Incident
}

// The kinds of timer, which begin their names.
const (
	timerElapsed    = "elapsed"
	timerReminder   = "reminder"
	timerEscalation = "escalation"
)

// nextDesk is the desk that is told when this one is silent, or "".
func (d Deps) nextDesk(id string) string {
	if desk, ok := d.Register.Desk(id); ok {
		return desk.Next
	}
	return ""
}
