package event

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// The columns of rows as CSV, wherever they are written. Scripts may count on
// their order: a new column comes last.
var (
	EscalationColumns = []string{"escalation", "desk", "operator", "incident", "revision", "grade", "from", "act", "duties", "dueAt", "reportedAt", "late", "acknowledgeBy", "acknowledgedAt", "acknowledgedBy", "state", "exercise", "record", "receivedAt", "imported", "title", "citations", "dueAtLocal", "reportedAtLocal", "acknowledgeByLocal", "acknowledgedAtLocal", "receivedAtLocal"}
	IncidentColumns   = []string{"operator", "incident", "revision", "title", "about", "grade", "couldBe", "peak", "nextAt", "nextGrade", "withdrawn", "imported", "gradedAt", "desks", "owed", "closedBy", "exercise", "record", "citations", "gradedAtLocal", "nextAtLocal"}
	StatsColumns      = []string{"by", "value", "escalations", "timed", "late", "reportedInTime", "targeted", "acknowledgedLate", "overdue", "acknowledged", "acknowledgedInTime"}
)

// Cells are the row in the order of EscalationColumns: times in RFC 3339 and, in the
// columns that end in Local, at +08:00 as spreadsheets read them; a duty as
// STATUTE/DUTY; several values with a space between, citations with "; ".
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
	)
}

// Cells are the row in the order of IncidentColumns: what is owed by its ids,
// closings by their desks.
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
	nextAt, nextGrade, nextLocal := "", "", ""
	if r.Next != nil {
		nextAt, nextGrade, nextLocal = cellOfTime(&r.Next.At), r.Next.Grade.String(), localCell(&r.Next.At)
	}
	return harmless(
		r.Operator, r.Incident, strconv.Itoa(r.Revision), r.Title, string(r.About), r.Grade.String(), r.CouldBe.String(), r.Peak.String(),
		nextAt, nextGrade, strconv.FormatBool(r.Withdrawn), strconv.FormatBool(r.Imported), cellOfTime(&r.GradedAt),
		strings.Join(r.Desks, " "), strings.Join(owed, " "), strings.Join(closed, " "), strconv.FormatBool(r.Exercise), cellOfCount(r.Record),
		strings.Join(citations, "; "), localCell(&r.GradedAt), nextLocal,
	)
}

// Cells are the row in the order of StatsColumns; a share is a fraction, empty
// where nothing had a time.
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

func cellOfTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func cellOfCount(n uint64) string { return strconv.FormatUint(n, 10) }

// localCell is a time at +08:00, in the form that every spreadsheet takes for one.
func localCell(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.In(Beijing).Format(time.DateTime)
}

// ByteOrderMark begins CSV for Excel, which otherwise takes UTF-8 for the encoding of
// its own country.
const ByteOrderMark = "\uFEFF"

// formulas are the characters that make a spreadsheet take a cell for a formula
// when they come first, in their wide forms too.
const formulas = "=+-@＝＋－＠"

// separators are the characters between cells in some spreadsheet of some country.
const separators = ",;|:"

// harmless makes cells safe and legible in any spreadsheet. Characters that cannot be
// seen are shown as escapes, line ends and tabs as spaces. An apostrophe goes before
// what a spreadsheet would take for a formula: an operator could otherwise send one to
// the desk that opens the file. So it does behind every character that may part cells,
// for one who opens the file with another separator. Blanks and quotes hide no formula:
// some spreadsheets drop them.
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
	first := true // of what may become a cell of its own
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
