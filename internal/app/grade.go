package app

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/services/intake"
)

// Grading is what the pipeline would decide for a report. Its JSON form is part of the
// contract.
type Grading struct {
	Operator string `json:"operator"`
	Incident string `json:"incident"`
	Report   string `json:"report"`
	event.Assessment
	Law        []event.Instrument   `json:"law"` // which instruments apply, and why
	Unknown    []event.Unknown      `json:"unknown"`
	Duties     []event.Duty         `json:"duties"`
	Possible   []event.PossibleDuty `json:"possible"`       // duties that facts not known would add
	Owed       []event.Obligation   `json:"owed,omitempty"` // what the operator owes afterwards
	Withdrawal *event.Withdrawal    `json:"withdrawal,omitempty"`
	Imported   bool                 `json:"imported,omitempty"` // from an archive: no clock starts
}

// Grader grades reports offline, with the same code as the services: reports of one
// incident are merged in the order given.
type Grader struct {
	rulebook  grading.Rulebook
	at        time.Time
	sequence  uint64
	incidents map[string]*event.Graded
}

// NewGrader returns a grader that takes every report as received at a given time.
func NewGrader(rb grading.Rulebook, at time.Time) *Grader {
	return &Grader{rulebook: rb, at: at, incidents: map[string]*event.Graded{}}
}

// Grade grades one CloudEvent in structured form. If intake would refuse the report, it
// returns an error of kind Reject with every fault.
func (g *Grader) Grade(operator string, raw []byte) (*Grading, error) {
	names := cloudevent.NamesOf(nil, raw)
	if operator == "" {
		operator = event.OperatorOfSource(names.Source)
	}
	e, err := cloudevent.Parse(raw)
	if err != nil {
		faults := fault.DetailsOf(err)
		if operator != "" {
			faults = append(faults, intake.Check(g.rulebook.Register, g.rulebook.Statutes, operator, names)...)
		}
		return nil, fault.Invalid("grade", faults)
	}
	if faults := intake.Check(g.rulebook.Register, g.rulebook.Statutes, operator, e.Names()); faults != nil {
		return nil, fault.Invalid("grade", faults)
	}
	g.sequence++
	key := operator + "/" + e.Subject
	next, err := g.rulebook.Revise(g.incidents[key], grading.ReportCause(g.sequence, e.Accepted(operator, g.at)), nil)
	if err != nil {
		return nil, fault.New(fault.Reject, "grade", "%w", err)
	}
	g.incidents[key] = next
	out := &Grading{
		Operator: operator, Incident: e.Subject, Report: e.ID, Assessment: next.Assessment, Law: next.Law, Unknown: next.Unknown,
		Duties: next.Duties, Possible: event.WithFacts(next.Possible, next.CouldBeIf), Owed: next.Owed,
		Withdrawal: next.Withdrawal, Imported: next.State.IsImported(),
	}
	if out.Duties == nil {
		out.Duties = []event.Duty{}
	}
	if out.Possible == nil {
		out.Possible = []event.PossibleDuty{}
	}
	zh := g.rulebook.Statutes.Citations()
	zh.Hits(out.Hits)
	zh.Duties(out.Duties)
	zh.Possible(out.Possible)
	zh.Obligations(out.Owed)
	return out, nil
}
