package deadline

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// setAgain sets the missing timers of the timer's incident or escalation.
func (w *sweeper) setAgain(ctx context.Context, timer string, givenUp map[string]bool) error {
	name := strings.Split(event.TimerName(timer), ".")
	subject := ""
	switch {
	case len(name) == 5 && name[0] == timerEscalation:
		subject = "incident.escalated." + strings.Join(name[1:], ".")
	case len(name) == 4 && (name[0] == timerElapsed || name[0] == timerReminder):
		subject = "incident.graded." + name[1] + "." + name[2] + ".*"
	default:
		return nil
	}
	_, set, err := w.compare(ctx, subject, givenUp)
	if set > 0 {
		w.deps.Log.Error("timers were lost and have been set again", zap.Int("timers", set), zap.String("timer", timer))
	}
	return err
}

// compare checks what the last record of a subject demands against the timers that are
// set and the records that earlier ones made. It sets missing timers, and reports whether
// any clock of the record is running.
func (w *sweeper) compare(ctx context.Context, subject string, givenUp map[string]bool) (runs bool, set int, err error) {
	last, err := w.deps.Bus.Last(ctx, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return false, 0, nil // it was removed
	}
	if err != nil {
		return false, 0, err
	}
	var demanded, lost []event.Record
	if event.ParseSubject(last.Subject).Kind == event.KindEscalated {
		demanded, err = w.setter.escalated(last)
	} else {
		var d *demands
		if d, err = event.Decode[demands](last); err == nil {
			demanded, err = w.setter.timersOf(d)
		}
	}
	if err != nil {
		return false, 0, nil // it was given up when it was read first
	}
	for _, r := range demanded {
		isSet, _ := w.deps.Bus.HasTimer(r.Subject)
		if !isSet {
			settled, err := w.isSettled(ctx, event.TimerName(r.Subject))
			if err != nil {
				return true, 0, err
			}
			if settled || givenUp[event.TimerName(r.Subject)] {
				continue
			}
			lost = append(lost, r)
		}
		runs = true
	}
	if len(lost) == 0 {
		return runs, 0, nil
	}
	_, err = w.deps.Bus.Commit(ctx, lost)
	return runs, len(lost), err
}

// isSettled reports whether the ledger has the record that a timer was to make, or an
// acknowledgement in time.
func (w *sweeper) isSettled(ctx context.Context, name string) (bool, error) {
	kind, rest, _ := strings.Cut(name, ".")
	subjects := map[string]string{timerElapsed: "incident.elapsed.", timerReminder: "incident.reminded.", timerEscalation: "incident.overdue."}
	_, err := w.deps.Bus.Last(ctx, subjects[kind]+rest)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	if kind != timerEscalation {
		return false, nil
	}
	stored, err := w.deps.Bus.Last(ctx, event.AcknowledgedSubject(rest))
	if errors.Is(err, bus.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a, err := event.Decode[event.Acknowledgement](stored)
	return err != nil || a.AcknowledgeBy == nil || !a.At.After(*a.AcknowledgeBy), nil
}
