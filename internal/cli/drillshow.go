package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render"
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

func drillLineOf(r api.EscalationRow) drillLine {
	l := drillLine{
		Kind: "escalation", Escalation: r.Escalation, Desk: r.Desk, Operator: r.Operator, Incident: r.Incident, Revision: r.Revision,
		Grade: r.Grade, Act: r.Act, ReportedAt: stamp(r.ReportedAt), DueAt: (*stamp)(r.DueAt), Late: r.Late,
		AcknowledgeBy: (*stamp)(r.AcknowledgeBy), AcknowledgedAt: (*stamp)(r.AcknowledgedAt), AcknowledgedBy: orNull(r.AcknowledgedBy),
		Overdue: r.State == api.StateOverdue || r.State == api.StateAcknowledgedLate, State: r.State,
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
		if err := e.JSON(drillLineOf(r)); err != nil {
			return err
		}
	}
	return e.JSON(d)
}

func (e *environment) drillPage(d *drill) {
	at := time.Time(d.At)
	fmt.Fprintf(e.Out, "%s  %s\n", e.Word("drill-report"), e.Time(&at))
	live := slices.DeleteFunc(slices.Clone(d.rows), func(r api.EscalationRow) bool { return r.Imported })
	render.Section(e.Printer, e.Word("told"), live, e.DrillRow)
	e.importedCount(d.Imported)
	render.Section(e.Printer, e.Word("by-desk"), d.Desks, func(s *drillDesk) {
		fmt.Fprintf(e.Out, "%-28s "+e.Word("drill-desk"), s.Desk, s.Escalations, s.InTime, s.AcknowledgedLate, s.Overdue, s.Open, s.LateBySender, s.DelayedHere, s.Notices)
		if s.Median != nil {
			fmt.Fprintf(e.Out, "  "+e.Word("drill-took"), e.Length(time.Duration(*s.Median)), e.Length(time.Duration(*s.Slowest)))
		}
		fmt.Fprintln(e.Out)
	})
	render.Section(e.Printer, e.Word("by-operator"), d.Operators, func(o drillOperator) {
		fmt.Fprintf(e.Out, "%-28s "+e.Word("drill-operator"), o.Operator, o.Incidents, o.LateReports)
		if o.LatestBy != nil {
			fmt.Fprintf(e.Out, "  "+e.Word("drill-latest"), e.Length(time.Duration(*o.LatestBy)))
		}
		if o.LateByCorrection > 0 {
			fmt.Fprintf(e.Out, "  "+e.Word("drill-corrected"), o.LateByCorrection)
		}
		fmt.Fprintln(e.Out)
	})
	render.Section(e.Printer, e.Word("owed"), d.Owed, e.owedLine)
}
