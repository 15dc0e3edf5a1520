package event

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCellsStandUnderTheirColumns(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 1, 0, 0, 5e8, time.UTC)
	named := func(columns, cells []string) map[string]string {
		require.Len(t, cells, len(columns))
		out := map[string]string{}
		for i, c := range columns {
			out[c] = cells[i]
		}
		require.Len(t, out, len(columns), "a column twice")
		return out
	}
	half := 0.5
	e := named(EscalationColumns, EscalationRow{
		Escalation: "d.o.i.1", Desk: "d", Operator: "o", Incident: "i", Revision: 1, Grade: Major, From: "o", Act: ActReport,
		Duties: []Duty{{Statute: "s", Duty: "a"}, {Statute: "s", Duty: "b"}}, DueAt: &at, ReportedAt: at, State: StateOpen, Record: 7,
	}.Cells())
	require.Equal(t, "s/a s/b", e["duties"])
	require.Equal(t, "2026-03-02T01:00:00.5Z", e["dueAt"])
	require.Empty(t, e["acknowledgedAt"])
	require.Empty(t, e["receivedAt"])
	require.Equal(t, "7", e["record"])

	i := named(IncidentColumns, IncidentRow{
		Operator: "o", Incident: "i", Title: "停电", Grade: General, CouldBe: Major, Next: &Next{At: at, Grade: Major}, GradedAt: at,
		Desks: []string{"a", "b"}, Owed: []Obligation{{ID: "final"}}, ClosedBy: []Closing{{Desk: "a"}}, Record: 9,
	}.Cells())
	require.Equal(t, []string{"停电", "general", "major", "2026-03-02T01:00:00.5Z", "major", "a b", "final", "a"},
		[]string{i["title"], i["grade"], i["couldBe"], i["nextAt"], i["nextGrade"], i["desks"], i["owed"], i["closedBy"]})
	require.Empty(t, named(IncidentColumns, IncidentRow{}.Cells())["nextAt"])

	s := named(StatsColumns, StatsRow{By: "grade", Value: "major", Escalations: 4, ReportedInTime: &half}.Cells())
	require.Equal(t, []string{"major", "4", "0.5", ""}, []string{s["value"], s["escalations"], s["reportedInTime"], s["acknowledgedInTime"]})
}

func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\ufeff=1", "＝1+1", "\u200b=cmd|' /C calc'!A0", "\nx"} {
		require.Equal(t, "'"+sent, IncidentRow{Title: sent}.Cells()[3], "%q", sent)
	}
	for _, plain := range []string{"", "inc-1", "a=b", "停电", "2026-03-02", "'=1"} {
		require.Equal(t, plain, IncidentRow{Title: plain}.Cells()[3])
	}
}

// Whatever an operator sends, what a reader of CSV gets begins with nothing that
// makes a formula, and ends as it was sent.
func TestCellsOfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("=+-@ \t\r\n\"',;＝＋")), rapid.Rune())).Draw(t, "title")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		require.NoError(t, w.Write(IncidentRow{Title: sent}.Cells()))
		w.Flush()
		cells, err := csv.NewReader(&b).Read()
		require.NoError(t, err)
		got := cells[3]
		require.False(t, strings.IndexAny(strings.TrimSpace(got), formulas) == 0, "%q", got)
		require.True(t, strings.HasSuffix(got, strings.ReplaceAll(sent, "\r\n", "\n")), "%q of %q", got, sent)
	})
}
