package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// drillLine is one escalation of a drill in JSON.
type drillLine struct {
	Kind              string          `json:"kind"` // escalation
	Escalation        string          `json:"escalation"`
	Desk              string          `json:"desk"`
	Operator          string          `json:"operator"`
	Incident          string          `json:"incident"`
	Revision          int             `json:"revision"`
	Grade             event.Grade     `json:"grade"`
	Act               event.Act       `json:"act"`
	ReceivedAt        stamp           `json:"receivedAt,omitzero"`
	ReportedAt        stamp           `json:"reportedAt"`
	DueAt             *stamp          `json:"dueAt"`
	Late              bool            `json:"late"`
	LateBy            *event.Duration `json:"lateBy"`
	DelayedHere       bool            `json:"delayedHere"` // late, but received in time
	AcknowledgeBy     *stamp          `json:"acknowledgeBy"`
	AcknowledgedAt    *stamp          `json:"acknowledgedAt"`
	AcknowledgedBy    *string         `json:"acknowledgedBy"`
	AcknowledgedAfter *event.Duration `json:"acknowledgedAfter"`
	Overdue           bool            `json:"overdue"` // not acknowledged by its target
	State             string          `json:"state"`
	Imported          bool            `json:"imported"` // no clock runs
}

func drillLineOf(r event.EscalationRow) drillLine {
	l := drillLine{
		Kind: "escalation", Escalation: r.Escalation, Desk: r.Desk, Operator: r.Operator, Incident: r.Incident, Revision: r.Revision,
		Grade: r.Grade, Act: r.Act, ReportedAt: stamp(r.ReportedAt), DueAt: (*stamp)(r.DueAt), Late: r.Late,
		AcknowledgeBy: (*stamp)(r.AcknowledgeBy), AcknowledgedAt: (*stamp)(r.AcknowledgedAt), AcknowledgedBy: orNull(r.AcknowledgedBy),
		Overdue: r.State == event.StateOverdue || r.State == event.StateAcknowledgedLate, State: r.State,
		ReceivedAt: r.ReceivedAt, DelayedHere: delayedHere(r), Imported: r.Imported,
	}
	for _, d := range r.Duties {
		if d.LateBy != nil && (l.LateBy == nil || *d.LateBy > *l.LateBy) {
			l.LateBy = d.LateBy
		}
	}
	if r.AcknowledgedAt != nil {
		after := event.Duration(r.AcknowledgedAt.Sub(r.ReportedAt))
		l.AcknowledgedAfter = &after
	}
	return l
}

func (e *environment) drillJSON(d *drill) error {
	for _, r := range d.rows {
		if err := e.json(drillLineOf(r)); err != nil {
			return err
		}
	}
	return e.json(d)
}

// drillPage prints the report for people.
func (e *environment) drillPage(d *drill) {
	at := time.Time(d.At)
	fmt.Fprintf(e.out, "%s  %s\n", e.word("drill-report"), e.time(&at))
	live := slices.DeleteFunc(slices.Clone(d.rows), func(r event.EscalationRow) bool { return r.Imported })
	section(e, e.word("told"), live, e.drillRow)
	e.importedCount(d.Imported)
	section(e, e.word("by-desk"), d.Desks, func(s *drillDesk) {
		fmt.Fprintf(e.out, "%-28s "+e.word("drill-desk"), s.Desk, s.Escalations, s.InTime, s.AcknowledgedLate, s.Overdue, s.Open, s.LateBySender, s.DelayedHere, s.Notices)
		if s.Median != nil {
			fmt.Fprintf(e.out, "  "+e.word("drill-took"), e.length(time.Duration(*s.Median)), e.length(time.Duration(*s.Slowest)))
		}
		fmt.Fprintln(e.out)
	})
	section(e, e.word("by-operator"), d.Operators, func(o drillOperator) {
		fmt.Fprintf(e.out, "%-28s "+e.word("drill-operator"), o.Operator, o.Incidents, o.LateReports)
		if o.LatestBy != nil {
			fmt.Fprintf(e.out, "  "+e.word("drill-latest"), e.length(time.Duration(*o.LatestBy)))
		}
		if o.LateByCorrection > 0 {
			fmt.Fprintf(e.out, "  "+e.word("drill-corrected"), o.LateByCorrection)
		}
		fmt.Fprintln(e.out)
	})
	section(e, e.word("owed"), d.Owed, e.owedLine)
}

// drillRow prints one escalation: when it was told, and when it was acknowledged.
func (e *environment) drillRow(r event.EscalationRow) {
	fmt.Fprintf(e.out, "%s/%s", r.Operator, r.Incident)
	if r.Act != event.ActNotice { // a notice has no grade
		fmt.Fprintf(e.out, "  %s", e.gradeName(r.Grade))
	}
	fmt.Fprintf(e.out, "  → %s  %s  %s", r.Desk, e.word(string(r.Act)), e.time(&r.ReportedAt))
	e.limits(r)
	if r.Notice != nil {
		fmt.Fprintf(e.out, "  %s", e.notice(r, *r.Notice))
	}
	fmt.Fprintf(e.out, "  [%s]", e.word(r.State))
	if r.AcknowledgedAt != nil {
		fmt.Fprintf(e.out, " %s %s (%s)", r.AcknowledgedBy, e.time(r.AcknowledgedAt), e.length(r.AcknowledgedAt.Sub(r.ReportedAt)))
	}
	fmt.Fprintln(e.out)
}
