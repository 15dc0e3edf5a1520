package grading

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// Cause is a record that may make a revision: a report, a moment at which time alone may
// change something, or a desk's act.
type Cause struct {
	Record             uint64 // its sequence in the ledger
	Operator, Incident string
	At                 time.Time       // receipt, the moment itself, or the desk's stamp
	Report             *event.Accepted // nil unless it is a report
	Act                *event.DeskAct  // nil unless it is a desk's act
}

// ReportCause returns a report as a cause.
func ReportCause(record uint64, a *event.Accepted) Cause {
	return Cause{Record: record, Operator: a.Operator, Incident: a.Incident, At: a.ReceivedAt.UTC(), Report: a}
}

// MomentCause returns a moment as a cause.
func MomentCause(record uint64, e *event.Elapsed) Cause {
	return Cause{Record: record, Operator: e.Operator, Incident: e.Incident, At: e.At.UTC()}
}

// ActCause returns a desk's act as a cause.
func ActCause(record uint64, a *event.DeskAct) Cause {
	return Cause{Record: record, Operator: a.Operator, Incident: a.Incident, At: a.At.UTC(), Act: a}
}

// DecodeCause decodes a stored cause.
func DecodeCause(in event.Stored) (Cause, error) {
	switch event.ParseSubject(in.Subject).Kind {
	case event.KindAccepted:
		return decodeAs(in, ReportCause)
	case event.KindElapsed:
		return decodeAs(in, MomentCause)
	}
	return decodeAs(in, ActCause)
}

func decodeAs[T any](in event.Stored, cause func(uint64, *T) Cause) (Cause, error) {
	body, err := event.Decode[T](in)
	if err != nil {
		return Cause{}, err
	}
	return cause(in.Sequence, body), nil
}

// record describes the cause for the revision that it makes.
func (c Cause) record(changed []string) event.Cause {
	out := event.Cause{Record: c.Record, At: c.At, Changed: changed}
	switch {
	case c.Report != nil:
		out.Type, out.Report, out.SentAt = c.Report.Type, c.Report.Report, c.Report.SentAt
	case c.Act != nil:
		out.Type, out.Desk, out.Officer = "tocsin.incident."+c.Act.Kind+".v"+event.Format, c.Act.Desk, c.Act.Officer
	default:
		out.Type = "tocsin.incident." + event.KindElapsed + ".v" + event.Format
	}
	if out.Changed == nil {
		out.Changed = []string{}
	}
	return out
}

// fold adds the contents of the cause to the known facts. A moment adds nothing.
func (rb Rulebook) fold(prev *event.Graded, c Cause) (event.State, []string, error) {
	switch {
	case c.Report != nil:
		return fold(prev.State, c.Record, c.Report)
	case c.Act != nil:
		state, err := rb.foldAct(prev, c)
		return state, nil, err
	}
	return prev.State, nil, nil
}

// foldAct adds a desk's act. Lists stay in ledger order and take each record once, so
// neither the order of folding nor a repeat matters.
func (rb Rulebook) foldAct(prev *event.Graded, c Cause) (event.State, error) {
	s, a := prev.State, c.Act
	switch a.Kind {
	case event.KindAsked:
		s.Asked = insert(s.Asked, event.Asked{
			Record: c.Record, Desk: a.Desk, Officer: a.Officer, Reason: a.Reason, Items: a.Items, At: c.At, DueAt: a.DueAt,
		}, func(v event.Asked) uint64 { return v.Record })
		s.Asked = recentAsked(s, a.Desk)
	case event.KindConfirmed:
		record := func(v event.Confirmation) uint64 { return v.Record }
		s.Confirmed = recent(prev, insert(s.Confirmed, event.Confirmation{Record: c.Record, Desk: a.Desk, To: a.To, Officer: a.Officer}, record), record)
	case event.KindTransferred:
		record := func(v event.Transfer) uint64 { return v.Record }
		s.Transferred = recent(prev, insert(s.Transferred, event.Transfer{Record: c.Record, From: a.Desk, To: a.To, Officer: a.Officer, Reason: a.Reason}, record), record)
	case event.KindDetermined:
		over, err := rb.met(prev, c.At)
		if err != nil {
			return s, err
		}
		d := &event.Determination{
			Grade: a.Grade, Over: over, Desk: a.Desk, Officer: a.Officer, Reason: a.Reason, At: c.At, Record: c.Record,
		}
		if rb.replaces(d, s.Determined) {
			s.Determined = d
		}
	}
	return s, nil
}

// met lists the criteria that the known facts meet at a moment. The list of the previous
// revision is not enough: time can meet a criterion without raising the grade, and then
// no revision was made.
func (rb Rulebook) met(prev *event.Graded, at time.Time) ([]string, error) {
	v, err := rb.view(prev.Operator, prev.State)
	if err != nil {
		return nil, err
	}
	return criteria(rb.Statutes.Assess(v.Case, at).Hits), nil
}

// isFresh reports whether a record is folded for the first time by the revision
// that follows prev.
func isFresh(prev *event.Graded, record uint64) bool {
	return record > prev.Through || slices.Contains(prev.Aside, record)
}

// replaces reports whether a determination replaces another: the later one does,
// unless it comes from a lower level.
func (rb Rulebook) replaces(d, before *event.Determination) bool {
	if before == nil {
		return true
	}
	a, ok := rb.Register.Desk(d.Desk)
	b, known := rb.Register.Desk(before.Desk)
	switch {
	case !ok || !known:
		return d.Record > before.Record
	case register.Outranks(a, b):
		return true
	case register.Outranks(b, a):
		return false
	}
	return d.Record > before.Record
}

// insert adds v to a list that is sorted by record, unless it is there.
func insert[T any](list []T, v T, record func(T) uint64) []T {
	i, found := slices.BinarySearchFunc(list, record(v), func(have T, want uint64) int {
		switch at := record(have); {
		case at < want:
			return -1
		case at > want:
			return 1
		}
		return 0
	})
	if found {
		return list
	}
	return slices.Insert(slices.Clone(list), i, v)
}
