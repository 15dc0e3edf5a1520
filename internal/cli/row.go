package cli

import (
	"fmt"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// row prints one line for an escalation.
func (e *environment) row(r event.EscalationRow) {
	fmt.Fprintf(e.out, "%s%s  ", e.marks(r.Exercise, r.Imported), e.time(&r.ReportedAt))
	if r.Act == event.ActNotice { // a notice has no grade, and the silent desk did not send it
		fmt.Fprintf(e.out, "%s  → %s", e.word(string(r.Act)), r.Desk)
	} else {
		fmt.Fprintf(e.out, "%s  %s", e.gradeName(r.Grade), e.word(string(r.Act)))
		if r.Act == event.ActUpdate {
			fmt.Fprintf(e.out, " (%s)", e.word(r.Change))
		}
		fmt.Fprintf(e.out, "  %s %s → %s", e.word("from"), r.From, r.Desk)
	}
	fmt.Fprintf(e.out, "  %s/%s", r.Operator, r.Incident)
	e.limits(r)
	if r.Notice != nil {
		fmt.Fprintf(e.out, "  %s", e.notice(r, *r.Notice))
	}
	state := r.State
	if r.OwnAct && r.AcknowledgedAt == nil {
		state = "own-act"
	}
	fmt.Fprintf(e.out, "  [%s]", e.word(state))
	if r.AcknowledgedBy != "" {
		fmt.Fprintf(e.out, " %s", r.AcknowledgedBy)
	}
	fmt.Fprintf(e.out, "  %s\n", r.Escalation)
}

// titled is row with the title below, in a section of a page.
func (e *environment) titled(r event.EscalationRow) {
	e.row(r)
	if r.Title != "" {
		fmt.Fprintf(e.out, "      %s\n", printable.Line(r.Title))
	}
}

// marks returns the marks, for the start of a line, of what must not be mistaken for a
// live incident.
func (e *environment) marks(exercise, imported bool) (marks string) {
	if exercise {
		marks = "[" + e.word("exercise") + "] "
	}
	if imported {
		marks += "[" + e.word("imported") + "] "
	}
	return marks
}

// limits prints the law's limit, what was late, and last the house's own target while
// nobody has acknowledged: the target may pass long before the law's limit.
func (e *environment) limits(r event.EscalationRow) {
	if r.DueAt != nil {
		fmt.Fprintf(e.out, "  %s %s", e.word("by"), e.time(r.DueAt))
	}
	e.lateDuties(r)
	if r.AcknowledgeBy != nil && r.AcknowledgedAt == nil {
		fmt.Fprintf(e.out, "  %s %s", e.word("acknowledge-by"), e.time(r.AcknowledgeBy))
	}
}

// lateDuties prints which duties were late, by how much and under which article, and the
// strict limit of those that have one.
func (e *environment) lateDuties(r event.EscalationRow) {
	said := false
	for _, d := range r.Duties {
		if d.LateBy != nil {
			said = true
			fmt.Fprintf(e.out, "  %s%s, %s%s", e.lateBy(*d.LateBy), e.whose(d.DueAt, r.ReceivedAt), d.Citation, e.confidence(d.Confidence))
		}
	}
	if r.Late && !said {
		fmt.Fprintf(e.out, "  %s%s", e.word("late"), e.whose(r.DueAt, r.ReceivedAt))
	}
	for _, d := range r.Standing {
		fmt.Fprintf(e.out, "  %s", e.corrected(d))
	}
	if strict := strictest(r.Duties); strict != nil {
		fmt.Fprintf(e.out, "  "+e.word("strictly"), e.time(strict))
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

func (e *environment) lateBy(d event.Duration) string {
	return fmt.Sprintf(e.word("late-by"), e.length(time.Duration(d)))
}

// corrected describes a duty that was late when it was told, as only a correction of the
// discovery time shows.
func (e *environment) corrected(d event.Duty) string {
	return fmt.Sprintf(e.word("late-corrected"), e.length(time.Duration(*d.LateBy))) + ", " + d.Citation + e.confidence(d.Confidence)
}

// whose returns a note where the sender is not responsible for a lateness.
func (e *environment) whose(due *time.Time, received event.Stamp) string {
	if !inTime(due, received) {
		return ""
	}
	return " (" + e.word("delayed") + ")"
}

// inTime reports whether the report had been received by the due time. Without a known
// receipt it returns false.
func inTime(due *time.Time, received event.Stamp) bool {
	at := time.Time(received)
	return due != nil && !at.IsZero() && !at.After(*due)
}
