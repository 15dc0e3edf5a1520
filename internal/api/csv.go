package api

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// The columns of rows in every CSV output. Scripts may rely on their order: add new
// columns at the end.
var (
	EscalationColumns = []string{"escalation", "desk", "operator", "incident", "revision", "grade", "from", "act", "duties", "dueAt", "reportedAt", "late", "acknowledgeBy", "acknowledgedAt", "acknowledgedBy", "state", "exercise", "record", "receivedAt", "imported", "title", "citations", "dueAtLocal", "reportedAtLocal", "acknowledgeByLocal", "acknowledgedAtLocal", "receivedAtLocal", "confidence"}
	IncidentColumns   = []string{"operator", "incident", "revision", "title", "about", "grade", "couldBe", "peak", "nextAt", "nextGrade", "withdrawn", "imported", "gradedAt", "desks", "owed", "closedBy", "exercise", "record", "citations", "gradedAtLocal", "nextAtLocal", "nextConfidence"}
	StatsColumns      = []string{"by", "value", "escalations", "timed", "late", "reportedInTime", "targeted", "acknowledgedLate", "overdue", "acknowledged", "acknowledgedInTime"}
)

// Cells returns the row in the order of EscalationColumns: times in RFC 3339 and, in the
// columns that end in Local, at +08:00 in the form that spreadsheets read; a duty as
// STATUTE/DUTY; several values separated by a space, citations by "; ".
func (r EscalationRow) Cells() []string {
	duties, citations := make([]string, len(r.Duties)), []string{}
	for i, d := range r.Duties {
		duties[i] = d.Statute + "/" + d.Duty
		if d.Citation != "" && !slices.Contains(citations, d.Citation) {
			citations = append(citations, d.Citation)
		}
	}
	received := time.Time(r.ReceivedAt)
	return harmless(
		r.Escalation, r.Desk, r.Operator, r.Incident, strconv.Itoa(r.Revision), r.Grade.String(), r.From, string(r.Act),
		strings.Join(duties, " "), cellOfTime(r.DueAt), cellOfTime(&r.ReportedAt), strconv.FormatBool(r.Late), cellOfTime(r.AcknowledgeBy),
		cellOfTime(r.AcknowledgedAt), r.AcknowledgedBy, r.State, strconv.FormatBool(r.Exercise), cellOfCount(r.Record),
		cellOfTime(&received), strconv.FormatBool(r.Imported), r.Title, strings.Join(citations, "; "),
		localCell(r.DueAt), localCell(&r.ReportedAt), localCell(r.AcknowledgeBy), localCell(r.AcknowledgedAt), localCell(&received),
		weakest(r.Duties),
	)
}

// Cells returns the row in the order of IncidentColumns: what is owed as ids, closings as
// desks.
func (r IncidentRow) Cells() []string {
	owed, closed, citations := make([]string, len(r.Owed)), make([]string, len(r.ClosedBy)), []string{}
	for i, o := range r.Owed {
		owed[i] = o.ID
		if o.Citation != "" && !slices.Contains(citations, o.Citation) {
			citations = append(citations, o.Citation)
		}
	}
	for i, c := range r.ClosedBy {
		closed[i] = c.Desk
	}
	nextAt, nextGrade, nextLocal, nextConfidence := "", "", "", ""
	if r.Next != nil {
		nextAt, nextGrade, nextLocal = cellOfTime(&r.Next.At), r.Next.Grade.String(), localCell(&r.Next.At)
		nextConfidence = string(r.Next.Confidence)
	}
	return harmless(
		r.Operator, r.Incident, strconv.Itoa(r.Revision), r.Title, string(r.About), r.Grade.String(), r.CouldBe.String(), r.Peak.String(),
		nextAt, nextGrade, strconv.FormatBool(r.Withdrawn), strconv.FormatBool(r.Imported), cellOfTime(&r.GradedAt),
		strings.Join(r.Desks, " "), strings.Join(owed, " "), strings.Join(closed, " "), strconv.FormatBool(r.Exercise), cellOfCount(r.Record),
		strings.Join(citations, "; "), localCell(&r.GradedAt), nextLocal, nextConfidence,
	)
}

// Cells returns the row in the order of StatsColumns; a share is a fraction, empty where
// nothing had a time.
func (r StatsRow) Cells() []string {
	share := func(s *float64) string {
		if s == nil {
			return ""
		}
		return strconv.FormatFloat(*s, 'f', -1, 64)
	}
	return harmless(
		r.By, r.Value, cellOfCount(r.Escalations), cellOfCount(r.Timed), cellOfCount(r.Late), share(r.ReportedInTime),
		cellOfCount(r.Targeted), cellOfCount(r.AcknowledgedLate), cellOfCount(r.Overdue), cellOfCount(r.Acknowledged), share(r.AcknowledgedInTime),
	)
}

// weakest returns the weakest confidence of duties; empty without any.
func weakest(duties []event.Duty) string {
	if len(duties) == 0 {
		return ""
	}
	marks := make([]event.Confidence, len(duties))
	for i, d := range duties {
		marks[i] = d.Confidence
	}
	return string(event.Weakest(marks...))
}

func cellOfTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func cellOfCount(n uint64) string { return strconv.FormatUint(n, 10) }

// localCell renders a time at +08:00, in the form that every spreadsheet reads as a time.
func localCell(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.In(event.Beijing).Format(time.DateTime)
}

// ByteOrderMark begins CSV for Excel, which otherwise reads UTF-8 in the encoding of its
// locale.
const ByteOrderMark = "\uFEFF"

// formulas are the characters, with their full-width forms, that make a spreadsheet read
// a cell as a formula when they come first.
const formulas = "=+-@＝＋－＠"

// separators are the characters that separate cells in some locale of some spreadsheet.
const separators = ",;|:"

// harmless makes cells safe and legible in any spreadsheet. It shows invisible characters
// as escapes, line ends and tabs as spaces. It puts an apostrophe before text that a
// spreadsheet would read as a formula, which an operator could otherwise send to the desk
// that opens the file. It does the same after every character that may separate cells,
// for a user who opens the file with another separator. Blanks and quotes do not hide a
// formula, because some spreadsheets drop them.
func harmless(cells ...string) []string {
	for i, cell := range cells {
		if cells[i] = printable.Line(cell); strings.ContainsAny(cells[i], formulas) {
			cells[i] = disarm(cells[i])
		}
	}
	return cells
}

func disarm(cell string) string {
	var b strings.Builder
	first := true // at the start of what may become a cell of its own
	for _, r := range cell {
		if first && strings.ContainsRune(formulas, r) {
			b.WriteByte('\'')
		}
		b.WriteRune(r)
		switch {
		case strings.ContainsRune(separators, r):
			first = true
		case r != '"' && !unicode.IsSpace(r):
			first = false
		}
	}
	return b.String()
}
