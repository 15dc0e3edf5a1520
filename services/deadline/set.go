package deadline

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// setter sets and cancels timers as the ledger demands. A timer that is already set
// stays.
type setter struct {
	deps     Deps
	presence *presence
	known    *knownTimers
}

// Handle returns the timers that a record sets.
func (s setter) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	switch event.ParseSubject(in.Subject).Kind {
	case event.KindGraded:
		return s.graded(ctx, in)
	case event.KindEscalated:
		return s.escalated(in)
	case event.KindAcknowledged:
		return nil, s.acknowledged(ctx, in)
	}
	if a := event.ParseSubject(in.Subject); a.Desk != "" {
		s.presence.acted(a.Desk, in.Time)
		return nil, nil
	}
	return nil, s.announce(in)
}

// demands are the members of a graded record from which clocks follow.
type demands struct {
	Operator        string                 `json:"operator"`
	Incident        string                 `json:"incident"`
	Revision        int                    `json:"revision"`
	Look            *time.Time             `json:"look"`
	PendingForwards []event.PendingForward `json:"held"`
	Owed            []event.Obligation     `json:"owed"`
	Grade           event.Grade            `json:"grade"`
	Next            *event.Next            `json:"next"`
}

// incident returns the incident's name in the names of timers.
func (d *demands) incident() string { return event.Token(d.Operator) + "." + event.Token(d.Incident) }

// any reports whether any clock follows.
func (d *demands) any() bool { return d.Look != nil || len(d.Owed) > 0 || len(d.PendingForwards) > 0 }

// highestGrade returns the incident's grade, or the graver one to which time alone next raises
// it.
func (d *demands) highestGrade() event.Grade {
	if d.Next != nil {
		return max(d.Grade, d.Next.Grade)
	}
	return d.Grade
}

// graded sets the timer of the next look by the classifier and the reminders of what is
// owed, after cancelling those of the previous revision.
func (s setter) graded(ctx context.Context, in event.Stored) ([]event.Record, error) {
	d, err := event.Decode[demands](in)
	if err != nil {
		return nil, err
	}
	incident := d.incident()
	if d.Revision > 1 && !s.known.hasNoTimer(incident) {
		err := s.deps.Bus.Cancel(ctx, event.TimerSubject(timerElapsed+"."+incident+".*"), event.TimerSubject(timerReminder+"."+incident+".*"))
		if err != nil {
			return nil, err
		}
	}
	out, err := s.timersOf(d)
	if err != nil {
		return nil, err
	}
	s.known.note(incident, setting{look: d.Look, any: len(out) > 0})
	return out, nil
}

// timersOf returns the timers that a graded record demands.
func (s setter) timersOf(d *demands) ([]event.Record, error) {
	var out []event.Record
	add := func(name string, due time.Time, body any) error {
		r, err := event.NewRecord(event.TimerSubject(name), s.deps.Clock.Now(), "", body)
		r.Due = due
		out = append(out, r)
		return err
	}
	if d.Look != nil {
		body := event.Elapsed{Operator: d.Operator, Incident: d.Incident, Revision: d.Revision, At: *d.Look, Grade: d.highestGrade()}
		if err := add(timerElapsed+"."+d.incident()+"."+strconv.FormatInt(d.Look.UnixNano(), 10), *d.Look, body); err != nil {
			return nil, err
		}
	}
	for _, r := range reminders(d) {
		if err := add(timerReminder+"."+d.incident()+"."+event.Token(r.ID), r.At, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// acknowledged cancels the timer of an escalation that was acknowledged in time. If it
// was late the timer stays: it has an overdue record to make.
func (s setter) acknowledged(ctx context.Context, in event.Stored) error {
	a, err := event.Decode[event.Acknowledgement](in)
	if err != nil {
		return err
	}
	s.presence.acted(event.ParseSubject(in.Subject).Desk, a.At)
	if a.AcknowledgeBy == nil || a.At.After(*a.AcknowledgeBy) {
		return nil
	}
	return s.deps.Bus.Cancel(ctx, event.TimerSubject(escalationTimer(in.Subject)))
}

// reminders returns the reminders that a revision demands, each with its moment in At:
// for every obligation, before its due time and at it, and for every forward that awaits
// a person. A moment that had passed when the obligation was first listed makes no
// reminder; one that has passed since is due at once, unless its reminder was made.
func reminders(d *demands) (out []event.Reminder) {
	for _, o := range d.Owed {
		if o.DueAt == nil {
			continue
		}
		r := event.Reminder{
			Operator: d.Operator, Incident: d.Incident, To: d.Operator, Obligation: o.ID, Items: o.Items, DueAt: *o.DueAt,
			Citation: o.Citation, Confidence: o.Confidence, Desk: o.Desk,
		}
		for i, at := range o.Remind {
			if at.After(o.Listed) {
				r.ID, r.At = fmt.Sprintf("%s-%d", o.ID, i+1), at
				out = append(out, r)
			}
		}
		r.ID, r.At, r.Passed = o.ID+"-due", *o.DueAt, true
		out = append(out, r)
	}
	for _, h := range d.PendingForwards {
		out = append(out, event.Reminder{
			ID: "forward-" + h.Desk + "-" + h.To, Operator: d.Operator, Incident: d.Incident,
			To: h.Desk, Forward: h.To, DueAt: h.Until, At: h.Remind,
		})
	}
	return out
}

// target has the members of an event.Escalated that its clock needs.
type target struct {
	ID            string      `json:"escalation"`
	Desk          string      `json:"desk"`
	Operator      string      `json:"operator"`
	Incident      string      `json:"incident"`
	Revision      int         `json:"revision"`
	Grade         event.Grade `json:"grade"`
	ReportedAt    time.Time   `json:"reportedAt"`
	AcknowledgeBy *time.Time  `json:"acknowledgeBy"`
}

// escalated sets the timer of an acknowledgement, first for the moment at which the desk
// would have been away too long.
func (s setter) escalated(in event.Stored) ([]event.Record, error) {
	e, err := event.Decode[target](in)
	if err != nil || e.AcknowledgeBy == nil {
		return nil, err
	}
	body := event.Overdue{
		Escalation: e.ID, Desk: e.Desk, Operator: e.Operator, Incident: e.Incident, Revision: e.Revision,
		ReportedAt: e.ReportedAt, AcknowledgeBy: *e.AcknowledgeBy, Grade: e.Grade,
	}
	r, err := s.presence.timer(body, s.deps.Clock.Now())
	return []event.Record{r}, err
}

func escalationTimer(escalated string) string {
	return timerEscalation + "." + event.EscalationOf(escalated)
}

// announce sends a stored reminder to a listening operator.
func (s setter) announce(in event.Stored) error {
	r, err := event.Decode[event.Reminder](in)
	if err != nil || r.Obligation == "" {
		return err
	}
	return s.deps.Bus.Broadcast(api.ReminderOf(r.Operator), r)
}
