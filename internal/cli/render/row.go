package render

import (
	"fmt"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Row prints one line for an escalation.
func (p *Printer) Row(r api.EscalationRow) {
	fmt.Fprintf(p.Out, "%s%s  ", p.Marks(r.Exercise, r.Imported), p.Time(&r.ReportedAt))
	if r.Act == event.ActNotice { // a notice has no grade, and the silent desk did not send it
		fmt.Fprintf(p.Out, "%s  → %s", p.Word(string(r.Act)), r.Desk)
	} else {
		fmt.Fprintf(p.Out, "%s  %s", p.GradeName(r.Grade), p.Word(string(r.Act)))
		if r.Act == event.ActUpdate {
			fmt.Fprintf(p.Out, " (%s)", p.Word(r.Change))
		}
		fmt.Fprintf(p.Out, "  %s %s → %s", p.Word("from"), r.From, r.Desk)
	}
	fmt.Fprintf(p.Out, "  %s/%s", r.Operator, r.Incident)
	p.Limits(r)
	if r.Notice != nil {
		fmt.Fprintf(p.Out, "  %s", p.Notice(r, *r.Notice))
	}
	state := r.State
	if r.OwnAct && r.AcknowledgedAt == nil {
		state = "own-act"
	}
	fmt.Fprintf(p.Out, "  [%s]", p.Word(state))
	if r.AcknowledgedBy != "" {
		fmt.Fprintf(p.Out, " %s", r.AcknowledgedBy)
	}
	fmt.Fprintf(p.Out, "  %s\n", r.Escalation)
}

// Titled is Row with the title below, in a section of a page.
func (p *Printer) Titled(r api.EscalationRow) {
	p.Row(r)
	if r.Title != "" {
		fmt.Fprintf(p.Out, "      %s\n", printable.Line(r.Title))
	}
}

// Marks returns the marks, for the start of a line, of what must not be mistaken for a
// live incident.
func (p *Printer) Marks(exercise, imported bool) (marks string) {
	if exercise {
		marks = "[" + p.Word("exercise") + "] "
	}
	if imported {
		marks += "[" + p.Word("imported") + "] "
	}
	return marks
}

// Limits prints the law's limit, what was late, and last the house's own target while
// nobody has acknowledged: the target may pass long before the law's limit.
func (p *Printer) Limits(r api.EscalationRow) {
	if r.DueAt != nil {
		fmt.Fprintf(p.Out, "  %s %s", p.Word("by"), p.Time(r.DueAt))
	}
	p.lateDuties(r)
	if r.AcknowledgeBy != nil && r.AcknowledgedAt == nil {
		fmt.Fprintf(p.Out, "  %s %s", p.Word("acknowledge-by"), p.Time(r.AcknowledgeBy))
	}
}

// lateDuties prints which duties were late, by how much and under which article, and the
// strict limit of those that have one.
func (p *Printer) lateDuties(r api.EscalationRow) {
	shown := false
	for _, d := range r.Duties {
		if d.LateBy != nil {
			shown = true
			fmt.Fprintf(p.Out, "  %s%s, %s%s", p.lateBy(*d.LateBy), p.whose(d.DueAt, r.ReceivedAt), p.Citation(d.Citation, d.CitationZH), p.Confidence(d.Confidence))
		}
	}
	if r.Late && !shown {
		fmt.Fprintf(p.Out, "  %s%s", p.Word("late"), p.whose(r.DueAt, r.ReceivedAt))
	}
	for _, d := range r.Standing {
		fmt.Fprintf(p.Out, "  %s", p.corrected(d))
	}
	if strict := strictest(r.Duties); strict != nil {
		fmt.Fprintf(p.Out, "  "+p.Word("strictly"), p.Time(strict))
	}
}

// strictest returns the earliest limit counted from discovery, of duties that also have
// another limit.
func strictest(duties []event.Duty) (at *time.Time) {
	for _, d := range duties {
		if d.StrictDueAt != nil && (at == nil || d.StrictDueAt.Before(*at)) {
			at = d.StrictDueAt
		}
	}
	return at
}

func (p *Printer) lateBy(d event.Duration) string {
	return fmt.Sprintf(p.Word("late-by"), p.Length(time.Duration(d)))
}

// corrected describes a duty that was late when it was told, as only a correction of the
// discovery time shows.
func (p *Printer) corrected(d event.Duty) string {
	return fmt.Sprintf(p.Word("late-corrected"), p.Length(time.Duration(*d.LateBy))) + ", " + p.Citation(d.Citation, d.CitationZH) + p.Confidence(d.Confidence)
}

// whose returns a note where the sender is not responsible for a lateness.
func (p *Printer) whose(due *time.Time, received event.Stamp) string {
	if !InTime(due, received) {
		return ""
	}
	return " (" + p.Word("delayed") + ")"
}

// InTime reports whether the report had been received by the due time. Without a known
// receipt it returns false.
func InTime(due *time.Time, received event.Stamp) bool {
	at := time.Time(received)
	return due != nil && !at.IsZero() && !at.After(*due)
}

// DrillRow prints one escalation: when it was told, and when it was acknowledged.
func (p *Printer) DrillRow(r api.EscalationRow) {
	fmt.Fprintf(p.Out, "%s/%s", r.Operator, r.Incident)
	if r.Act != event.ActNotice { // a notice has no grade
		fmt.Fprintf(p.Out, "  %s", p.GradeName(r.Grade))
	}
	fmt.Fprintf(p.Out, "  → %s  %s  %s", r.Desk, p.Word(string(r.Act)), p.Time(&r.ReportedAt))
	p.Limits(r)
	if r.Notice != nil {
		fmt.Fprintf(p.Out, "  %s", p.Notice(r, *r.Notice))
	}
	fmt.Fprintf(p.Out, "  [%s]", p.Word(r.State))
	if r.AcknowledgedAt != nil {
		fmt.Fprintf(p.Out, " %s %s (%s)", r.AcknowledgedBy, p.Time(r.AcknowledgedAt), p.Length(r.AcknowledgedAt.Sub(r.ReportedAt)))
	}
	fmt.Fprintln(p.Out)
}
