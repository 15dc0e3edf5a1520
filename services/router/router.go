// Package router carries out what a graded record decided: one incident.escalated for
// each desk that it names, with everything that the desk needs. It decides nothing, so a
// repeat has the same contents, and the first record written is kept. Once such a record
// is on disk, the duty is met: reportedAt is the moment before. Where the classifier runs
// in the same process, it stores a decision and its escalations in one atomic batch
// ([Escalations]); the router finds that out and makes only those that were not stored.
//
// A record that some service could not handle becomes an escalation too, as ungraded, to
// the desk that must review it. So does silence: what the clocks found about one desk
// (overdue, away) goes to the next desk, and a desk's reminder to the desk itself, with
// ids and times only.
package router

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// Name is the service's name; its position on the ledger is kept under it.
const Name = "router"

// Deps are the service's dependencies. The register only tells which desk reviews a
// record that cannot be routed.
type Deps struct {
	Bus      Bus
	Clock    clock.Clock
	Register *register.Register
}

// Bus is what the router needs of the bus.
type Bus interface {
	Follow(ctx context.Context, f bus.Follower) error
	Realm() event.Realm
}

// Run routes until ctx ends.
func Run(ctx context.Context, d Deps) error {
	return d.Bus.Follow(ctx, bus.Follower{
		Name: Name, Subjects: []string{event.AllGraded, event.AllUnhandled, event.AllOverdue, event.AllAway, event.AllReminded},
		Handler: handler{d.Clock, d.Bus.Realm() == event.Drill},
		Key:     func(in event.Stored) string { return in.Subject },
		GiveUp:  d.Register.GiveUp(Name, d.Clock),
		// The classifier may have stored the escalations with its decision.
		SkipBeside: true,
	})
}

// Escalations returns the function that makes the escalations of a decision, for the
// classifier to store with it.
func Escalations(c clock.Clock, exercise bool) func(*event.Graded) ([]event.Record, error) {
	return handler{c, exercise}.escalations
}

type handler struct {
	clock    clock.Clock
	exercise bool // its records belong to a drill
}

// Handle makes the escalations of a record.
func (h handler) Handle(_ context.Context, in event.Stored) ([]event.Record, error) {
	switch event.ParseSubject(in.Subject).Kind {
	case event.KindGraded:
		g, err := event.Decode[event.Graded](in)
		if err != nil {
			return nil, err
		}
		return h.escalations(g)
	case event.KindUnhandled:
		return h.review(in)
	}
	return h.notify(in)
}

// escalations carries out a graded record: it returns one record for each desk that is
// told. It reads nothing but the clock.
func (h handler) escalations(g *event.Graded) ([]event.Record, error) {
	now := h.clock.Now()
	out := make([]event.Record, 0, len(g.Escalations))
	for _, e := range g.Escalations {
		revision := strconv.Itoa(g.Revision)
		due := e.DueAt()
		change, owed, determined := saidBy(g, e)
		body := event.Escalated{
			ID:   event.EscalationID(e.Desk, g.Operator, g.Incident, revision),
			Desk: e.Desk, Operator: g.Operator, Incident: g.Incident, Revision: g.Revision,
			About: g.About, Grade: g.Grade, CouldBe: g.CouldBe, Peak: g.Peak, Own: g.Own, Next: g.Next,
			Change: change, Withdrawal: g.Withdrawal,
			From: e.From, Act: e.Act, Duties: event.LateDuties(e.Duties, now), Standing: e.Standing,
			DueAt: due, ReportedAt: now, Late: due != nil && now.After(*due),
			AcknowledgeBy: acknowledgeBy(now, due, e), Designated: e.Designated, Imported: g.State.IsImported(),
			Facilities: g.Facilities, Hits: g.Hits, CouldBeIf: g.CouldBeIf, Possible: g.Possible, Exercise: h.exercise,
			Owed: owed, PendingForwards: e.PendingForwards, Determined: determined, Transfer: e.Transfer,
			Report: disclose(g.State, e), Cause: g.Cause, Rules: g.Rules,
		}
		r, err := event.NewRecord(event.EscalatedSubject(e.Desk, g.Operator, g.Incident, revision), now, "", body)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// review sends a record that could not be handled to a desk for review by a person.
func (h handler) review(in event.Stored) ([]event.Record, error) {
	u, err := event.Decode[event.Unhandled](in)
	if err != nil {
		return nil, err
	}
	now := h.clock.Now()
	// Not a revision: its number is the record that could not be handled.
	at, mark := event.ParseSubject(in.Subject), "u"
	if u.Timer {
		mark = "ut"
	}
	id := event.Token(u.Desk) + "." + at.Operator + "." + at.Incident + "." + mark + at.Last
	subject, _, _, err := event.SubjectsOfEscalation(id)
	if err != nil {
		return nil, err
	}
	r, err := event.NewRecord(subject, now, "", event.Escalated{
		ID: id, Desk: u.Desk, Operator: u.Operator, Incident: u.Incident, Exercise: h.exercise,
		Grade: event.Ungraded, CouldBe: event.EspeciallyGrave, From: u.Operator, Act: event.ActReview,
		Duties: []event.Duty{}, ReportedAt: now, AcknowledgeBy: after(now, u.AcknowledgeWithin),
		Facilities: []event.Facility{}, Hits: []event.Hit{}, Unhandled: u,
	})
	if err != nil {
		return nil, err
	}
	return []event.Record{r}, nil
}

// acknowledgeBy returns the house's target for the desk: the desk's own, from reporting;
// else the due time; else, if there is none or it has passed, the default; nil if no
// clock starts.
func acknowledgeBy(now time.Time, due *time.Time, e event.Escalation) *time.Time {
	switch {
	case e.AcknowledgeWithin != nil:
		return after(now, *e.AcknowledgeWithin)
	case due != nil && due.After(now):
		return due
	case e.AcknowledgeDefault != nil:
		return after(now, *e.AcknowledgeDefault)
	}
	return nil
}

func after(t time.Time, d event.Duration) *time.Time {
	t = t.Add(time.Duration(d))
	return &t
}

// saidBy returns how the grade changed, what is owed and what was determined, as far as
// the desk may read what other desks wrote. A desk that is not told everything reads that
// they asked or determined, but not their words, which may repeat what it is not told.
func saidBy(g *event.Graded, e event.Escalation) (event.Change, []event.Obligation, *event.Determination) {
	change, owed, determined := g.Change, g.Owed, g.State.Determined
	if e.Items == nil {
		return change, owed, determined
	}
	if strings.Contains(g.Cause.Type, "."+event.KindDetermined+".") && g.Cause.Desk != e.Desk {
		change.Reason = "determined by " + g.Cause.Desk
	}
	owed = slices.DeleteFunc(slices.Clone(owed), func(o event.Obligation) bool { return o.Desk != "" && o.Desk != e.Desk })
	if determined != nil && determined.Desk != e.Desk {
		bare := *determined
		bare.Reason = ""
		determined = &bare
	}
	return change, owed, determined
}

// disclose renders the merged facts as far as the desk may read them.
func disclose(s event.State, e event.Escalation) jsontext.Value {
	return s.Data(func(path string) bool {
		return e.Items == nil || slices.ContainsFunc(e.Items, func(item string) bool { return strings.HasPrefix(path+".", item+".") })
	})
}
