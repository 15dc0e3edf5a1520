package deadline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// dueHandler makes records of timers that have come due.
type dueHandler struct {
	deps     Deps
	presence *presence
	known    *knownTimers
}

// Handle makes the record of a timer, whose body was written by the setter.
func (h dueHandler) Handle(ctx context.Context, in event.Stored) ([]event.Record, error) {
	kind, _, _ := strings.Cut(event.TimerName(in.Subject), ".")
	switch kind {
	case timerElapsed:
		return h.elapsed(in)
	case timerReminder:
		return h.reminder(ctx, in)
	case timerEscalation:
		return h.escalation(ctx, in)
	}
	return nil, fmt.Errorf("%q is no timer of ours", in.Subject)
}

// now returns the time at which a timer comes due: its due time or later, even if the
// clock was set back while the timer waited.
func (h dueHandler) now(in event.Stored) time.Time { return later(h.deps.Clock.Now(), in.Due) }

// elapsed records that a moment has come, unless it is known to be void. The classifier
// decides whether it still matters.
func (h dueHandler) elapsed(in event.Stored) ([]event.Record, error) {
	e, err := event.Decode[event.Elapsed](in)
	if err != nil || h.known.isVoid(event.Token(e.Operator)+"."+event.Token(e.Incident), e.At) {
		return nil, err
	}
	e.Grade = event.Ungraded
	return one(event.NewRecord(event.ElapsedSubject(e.Operator, e.Incident, e.At), h.now(in), "", e))
}

// reminder makes a reminder of what the last revision still lists as owed or pending.
func (h dueHandler) reminder(ctx context.Context, in event.Stored) ([]event.Record, error) {
	m, err := event.Decode[event.Reminder](in)
	if err != nil {
		return nil, err
	}
	last, err := h.deps.Bus.Last(ctx, event.GradedPrefix(m.Operator, m.Incident)+"*")
	if err != nil {
		return nil, err
	}
	d, err := event.Decode[demands](last)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(d.Owed, func(o event.Obligation) bool { return o.ID == m.Obligation }) &&
		!slices.ContainsFunc(d.PendingForwards, func(h event.PendingForward) bool { return h.Desk == m.To && h.To == m.Forward }) {
		return nil, nil
	}
	m.At = h.now(in)
	return one(event.NewRecord(event.RemindedSubject(m.Operator, m.Incident, m.ID), m.At, "", m))
}

// escalation checks whether the target has passed without an acknowledgement and, before
// that, whether the desk is away.
func (h dueHandler) escalation(ctx context.Context, in event.Stored) ([]event.Record, error) {
	o, err := event.Decode[event.Overdue](in)
	if err != nil {
		return nil, err
	}
	ack, err := h.acknowledgement(ctx, o)
	if err != nil || ack != nil && !ack.At.After(o.AcknowledgeBy) {
		return nil, err
	}
	now := h.now(in)
	if now.Before(o.AcknowledgeBy) {
		return h.presence.alarm(ctx, *o, now)
	}
	o.At, o.Next, o.Grade = now, h.deps.nextDesk(o.Desk), event.Ungraded // a notice of silence carries nothing of the incident
	return one(event.NewRecord(event.OverdueSubject(o.Escalation), now, "", o))
}

// acknowledgement returns the stored acknowledgement, or nil.
func (h dueHandler) acknowledgement(ctx context.Context, o *event.Overdue) (*event.Acknowledgement, error) {
	_, subject, _, err := event.SubjectsOfEscalation(o.Escalation)
	if err != nil {
		return nil, err
	}
	stored, err := h.deps.Bus.Last(ctx, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return event.Decode[event.Acknowledgement](stored)
}

func one(r event.Record, err error) ([]event.Record, error) {
	if err != nil {
		return nil, err
	}
	return []event.Record{r}, nil
}
