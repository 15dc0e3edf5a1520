package event

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The columns of rows as CSV, wherever they are written. Scripts may count on
// their order: a new column comes last.
var (
	EscalationColumns = []string{"escalation", "desk", "operator", "incident", "revision", "grade", "from", "act", "duties", "dueAt", "reportedAt", "late", "acknowledgeBy", "acknowledgedAt", "acknowledgedBy", "state", "exercise", "record", "receivedAt", "imported"}
	IncidentColumns   = []string{"operator", "incident", "revision", "title", "about", "grade", "couldBe", "peak", "nextAt", "nextGrade", "withdrawn", "imported", "gradedAt", "desks", "owed", "closedBy", "exercise", "record"}
	StatsColumns      = []string{"by", "value", "escalations", "timed", "late", "reportedInTime", "targeted", "acknowledgedLate", "overdue", "acknowledged", "acknowledgedInTime"}
)

// Cells are the row in the order of EscalationColumns: times in RFC 3339, a
// duty as STATUTE/DUTY, what there is several of with a space between.
func (r EscalationRow) Cells() []string {
	duties := make([]string, len(r.Duties))
	for i, d := range r.Duties {
		duties[i] = d.Statute + "/" + d.Duty
	}
	received := time.Time(r.ReceivedAt)
	return harmless(
		r.Escalation, r.Desk, r.Operator, r.Incident, strconv.Itoa(r.Revision), r.Grade.String(), r.From, string(r.Act),
		strings.Join(duties, " "), cellOfTime(r.DueAt), cellOfTime(&r.ReportedAt), strconv.FormatBool(r.Late), cellOfTime(r.AcknowledgeBy),
		cellOfTime(r.AcknowledgedAt), r.AcknowledgedBy, r.State, strconv.FormatBool(r.Exercise), cellOfCount(r.Record),
		cellOfTime(&received), strconv.FormatBool(r.Imported),
	)
}

// Cells are the row in the order of IncidentColumns: what is owed by its ids,
// closings by their desks.
func (r IncidentRow) Cells() []string {
	owed, closed := make([]string, len(r.Owed)), make([]string, len(r.ClosedBy))
	for i, o := range r.Owed {
		owed[i] = o.ID
	}
	for i, c := range r.ClosedBy {
		closed[i] = c.Desk
	}
	nextAt, nextGrade := "", ""
	if r.Next != nil {
		nextAt, nextGrade = cellOfTime(&r.Next.At), r.Next.Grade.String()
	}
	return harmless(
		r.Operator, r.Incident, strconv.Itoa(r.Revision), r.Title, string(r.About), r.Grade.String(), r.CouldBe.String(), r.Peak.String(),
		nextAt, nextGrade, strconv.FormatBool(r.Withdrawn), strconv.FormatBool(r.Imported), cellOfTime(&r.GradedAt),
		strings.Join(r.Desks, " "), strings.Join(owed, " "), strings.Join(closed, " "), strconv.FormatBool(r.Exercise), cellOfCount(r.Record),
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

// formulas are the characters that make a spreadsheet take a cell for a formula
// when they come first, in their wide forms too.
const formulas = "=+-@＝＋－＠"

// harmless puts an apostrophe before what a spreadsheet would take for a
// formula: an operator could otherwise send one to the desk that opens the file.
// A blank first does not hide it: some spreadsheets drop blanks.
func harmless(cells ...string) []string {
	for i, cell := range cells {
		rest := strings.TrimLeftFunc(cell, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
		if strings.IndexAny(rest, formulas) == 0 || cell != "" && strings.ContainsAny(cell[:1], "\t\r\n") {
			cells[i] = "'" + cell
		}
	}
	return cells
}
