package router

import (
	"strconv"

	"github.com/tocsin-project/tocsin/internal/event"
)

// message is a notice and its addressee.
type message struct {
	to                 string // empty: nobody is notified
	mark               string // begins the last token of the escalation's id
	operator, incident string
	notice             event.Notice
}

// notify tells the responsible desk of another desk's silence, and a desk that holds a
// forward of its reminder. A notice starts no clock: it carries nothing of the incident
// but ids and times.
func (h handler) notify(in event.Stored) ([]event.Record, error) {
	m, err := messageOf(in)
	if err != nil || m.to == "" {
		return nil, err
	}
	m.notice.Record = in.Sequence
	now := h.clock.Now()
	id := event.EscalationID(m.to, m.operator, m.incident, m.mark+strconv.FormatUint(in.Sequence, 10))
	subject, _, _, err := event.SubjectsOfEscalation(id)
	if err != nil {
		return nil, err
	}
	r, err := event.NewRecord(subject, now, "", event.Escalated{
		ID: id, Desk: m.to, Operator: m.operator, Incident: m.incident, Exercise: h.exercise,
		Grade: event.Ungraded, CouldBe: event.Ungraded, From: m.notice.Desk, Act: event.ActNotice,
		Duties: []event.Duty{}, ReportedAt: now, Notice: &m.notice,
		Facilities: []event.Facility{}, Hits: []event.Hit{},
	})
	if err != nil {
		return nil, err
	}
	return []event.Record{r}, nil
}

// messageOf returns the notice and its addressee: none if the register names no next
// desk, or if the reminder went to the operator.
func messageOf(in event.Stored) (message, error) {
	switch event.ParseSubject(in.Subject).Kind {
	case event.KindOverdue:
		o, err := event.Decode[event.Overdue](in)
		if err != nil {
			return message{}, err
		}
		return message{o.Next, "o", o.Operator, o.Incident, event.Notice{
			Kind: event.NoticeOverdue, Desk: o.Desk, Escalation: o.Escalation, Since: &o.ReportedAt, AcknowledgeBy: &o.AcknowledgeBy,
		}}, nil
	case event.KindAway:
		a, err := event.Decode[event.Away](in)
		if err != nil {
			return message{}, err
		}
		return message{a.Next, "a", a.Operator, a.Incident, event.Notice{
			Kind: event.NoticeAway, Desk: a.Desk, Escalation: a.Escalation, Since: &a.Since, AcknowledgeBy: &a.AcknowledgeBy,
		}}, nil
	}
	r, err := event.Decode[event.Reminder](in)
	if err != nil || r.Forward == "" {
		return message{}, err
	}
	return message{r.To, "r", r.Operator, r.Incident, event.Notice{
		Kind: event.NoticeReminder, Desk: r.To, Forward: r.Forward, Until: &r.DueAt,
	}}, nil
}
