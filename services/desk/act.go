package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// act records a desk's act. It recognises a repeat before it checks anything against the
// register, the clock or the ledger, which may have changed since the first.
func (s service) act(ctx context.Context, desk string, req endpoint.Request) (api.DeskActAnswer, error) {
	f := readAct(req.Data)
	a := f.act
	answer := api.DeskActAnswer{Kind: a.Kind, ID: a.ID, Desk: a.Desk, Operator: a.Operator, Incident: a.Incident}
	if a.Desk == "" {
		answer.Desk = desk
	} else if event.Token(a.Desk) != desk && !f.unreadable {
		s.deps.Endpoints.Refused(ctx, req.Subject, "the act is another desk's")
		f.add("$.desk", "is %s; this endpoint is that of %s", a.Desk, desk)
	}
	if f.unreadable {
		return answer, fault.Invalid(Name, f.faults)
	}
	var digest string
	if len(f.faults) == 0 {
		sent, err := json.Marshal(a)
		if err != nil {
			return answer, err
		}
		if digest, err = evidence.CanonicalDigest(sent); err != nil {
			return answer, err
		}
		if a.Signed, err = s.signed(ctx, req, f.signing, event.ActRecordSubject(a), a); err != nil {
			return answer, err
		}
		answer.Warnings = s.skew(f.signing)
		first, err := s.deps.Bus.Last(ctx, event.ActRecordSubject(a))
		if err == nil {
			return answerRepeat(answer, first, digest)
		}
		if !errors.Is(err, bus.ErrNotFound) {
			return answer, err
		}
	}
	defer s.actLocks.lock(lockKey(a))()
	a.At = s.deps.Clock.Now()
	if err := s.checkAct(ctx, f, a); err != nil {
		return answer, err
	}
	if len(f.faults) > 0 {
		return answer, fault.Invalid(Name, f.faults)
	}
	record, err := event.NewRecord(event.ActRecordSubject(a), a.At, digest, a)
	if err != nil {
		return answer, err
	}
	results, err := s.deps.Bus.Commit(ctx, []event.Record{record})
	if err != nil {
		return answer, err
	}
	if first := results[0].Existing; first != nil {
		return answerRepeat(answer, *first, digest)
	}
	s.actLocks.addPending(a, results[0].Sequence, clock.Steady())
	answer.Status, answer.At, answer.Record = event.StatusAccepted, &a.At, results[0].Sequence
	return answer, nil
}

// answerRepeat answers with the act that is stored under the same id.
func answerRepeat(answer api.DeskActAnswer, first event.Stored, digest string) (api.DeskActAnswer, error) {
	stored, err := event.Decode[event.DeskAct](first)
	if err != nil {
		return answer, err
	}
	answer.Status, answer.At, answer.Record = event.StatusDuplicate, &stored.At, first.Sequence
	if first.Digest != digest {
		answer.Status = event.StatusConflict
	}
	return answer, nil
}

// checkAct checks an act against the register, the clock and the ledger, and adds what is
// wrong to the faults of its form. After an error the outcome is not known.
func (s service) checkAct(ctx context.Context, f *form, a event.DeskAct) error {
	desk, known := s.deps.Register.Desk(a.Desk)
	if !known && a.Desk != "" {
		f.add("$.desk", "no desk %q in the register", a.Desk)
	}
	_, operator := s.deps.Register.Operator(a.Operator)
	if !operator && a.Operator != "" {
		f.add("$.operator", "no operator %q in the register", a.Operator)
	}
	switch a.Kind {
	case event.KindAsked:
		if a.DueAt != nil && !a.DueAt.After(a.At) {
			f.add("$.dueAt", "is past: it is %s", a.At.Format("2006-01-02T15:04:05Z07:00"))
		}
	case event.KindDetermined:
		if known && !desk.Grades {
			f.add("$.desk", "may not set a grade")
		}
	case event.KindTransferred:
		if _, ok := s.deps.Register.Desk(a.To); !ok && a.To != "" {
			f.add("$.to", "no desk %q in the register", a.To)
		}
	}
	if !known || !operator || a.Incident == "" {
		return nil // the act names no known incident
	}
	return s.checkIncident(ctx, f, a)
}

// checkIncident checks against the ledger whether the desk may do this act on its
// incident.
func (s service) checkIncident(ctx context.Context, f *form, a event.DeskAct) error {
	told, open, acts, err := s.escalations(ctx, a)
	if err == nil && a.Kind == event.KindClosed {
		open, err = s.withoutOwnActs(ctx, open)
	}
	full := false
	if err == nil && told {
		full, err = s.reachedActLimit(ctx, a, acts)
	}
	switch {
	case err != nil:
		return err
	case !told:
		s.deps.Endpoints.Refused(ctx, "incident "+event.Token(a.Operator)+"."+event.Token(a.Incident), "this desk has not been told of it")
		f.add("$.incident", "%s has not been told of %s/%s", a.Desk, a.Operator, a.Incident)
	case full:
		f.add("$.kind", "%s has %s this incident %d times, and no more are taken of one of its size", a.Desk, a.Kind, acts)
	case a.Kind == event.KindAsked:
		return s.checkAsked(ctx, f, a)
	case a.Kind == event.KindConfirmed:
		return s.checkPending(ctx, f, a)
	case a.Kind == event.KindClosed && len(open) > 0:
		f.add("$.incident", "cannot be closed before these are acknowledged: %s", listShort(open))
	}
	return nil
}

// reachedActLimit reports whether the desk has done as many acts of this kind on the
// incident as are accepted.
func (s service) reachedActLimit(ctx context.Context, a event.DeskAct, acts int) (bool, error) {
	if acts < event.MinActs || acts < event.MaxActs && a.Kind == event.KindClosed { // which is repeated to nobody
		return false, nil
	}
	last, err := s.deps.Bus.Last(ctx, event.GradedPrefix(a.Operator, a.Incident)+"*")
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	return acts >= event.MaxActsOf(len(last.Data)), nil
}

// escalations reports whether the desk has been told of the incident, which of its
// escalations are not acknowledged, and how many acts of this kind it has done. Only a
// revision tells a desk, and its number is the last token. Notices of silence and reviews
// have other last tokens: they carry nothing of an incident, but must be acknowledged
// too.
func (s service) escalations(ctx context.Context, a event.DeskAct) (told bool, open []string, acts int, err error) {
	// One query for escalations and acknowledgements, so that they are consistent.
	subjects, err := s.deps.Bus.Subjects(ctx, "incident.*."+event.EscalationID(a.Desk, a.Operator, a.Incident, "*"))
	if err != nil {
		return false, nil, 0, err
	}
	acknowledged := map[string]bool{}
	for _, subject := range subjects {
		switch at := event.ParseSubject(subject); at.Kind {
		case event.KindAcknowledged:
			acknowledged[event.EscalationOf(subject)] = true
		case event.KindEscalated:
			told = told || strings.Trim(at.Last, "0123456789") == ""
			open = append(open, event.EscalationOf(subject))
		case a.Kind:
			acts++
		}
	}
	return told, slices.DeleteFunc(open, func(id string) bool { return acknowledged[id] }), acts, nil
}

// maxOwnChecks is up to how many unacknowledged escalations withoutOwnActs checks.
const maxOwnChecks = 100

// withoutOwnActs drops the escalations that tell the desk of its own determination.
func (s service) withoutOwnActs(ctx context.Context, open []string) ([]string, error) {
	if len(open) > maxOwnChecks {
		return open, nil
	}
	var left []string
	for _, id := range open {
		stored, err := s.deps.Bus.Last(ctx, "incident.escalated."+id)
		if err != nil {
			return nil, err
		}
		e, err := event.Decode[event.Escalated](stored)
		if err != nil || !e.IsOwnAct() {
			left = append(left, id)
		}
	}
	return left, nil
}

// revision has the members of a graded record against which acts are checked.
type revision struct {
	PendingForwards []event.PendingForward `json:"held"`
	Owed            []event.Obligation     `json:"owed"`
	Through         uint64                 `json:"through"`
}

// checkPending checks, in the last revision of the incident, whether a forward of the
// desk awaits a person.
func (s service) checkPending(ctx context.Context, f *form, a event.DeskAct) error {
	last, err := s.deps.Bus.Last(ctx, event.GradedPrefix(a.Operator, a.Incident)+"*")
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	g := new(revision)
	if err == nil {
		if g, err = event.Decode[revision](last); err != nil {
			return err
		}
	}
	pending := slices.DeleteFunc(g.PendingForwards, func(h event.PendingForward) bool { return h.Desk != a.Desk })
	switch {
	case len(pending) == 0:
		f.add("$.incident", "no forward of %s awaits a person", a.Desk)
	case a.To != "" && !slices.ContainsFunc(pending, func(h event.PendingForward) bool { return h.To == a.To }):
		f.add("$.to", "no forward of %s to %s awaits a person", a.Desk, a.To)
	}
	return nil
}

// listShort lists at most ten escalations, and says how many more there are.
func listShort(ids []string) string {
	const most = 10
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}
