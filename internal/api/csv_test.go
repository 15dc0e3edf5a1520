package api

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestCells_MatchTheirColumns(t *testing.T) {
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
		Escalation: "d.o.i.1", Desk: "d", Operator: "o", Incident: "i", Revision: 1, Grade: event.Major, From: "o", Act: event.ActReport,
		Title: "停电", Duties: []event.Duty{{Statute: "s", Duty: "a", Citation: "第八条"}, {Statute: "s", Duty: "b", Citation: "第九条"}, {Statute: "s", Duty: "c", Citation: "第八条"}}, DueAt: &at, ReportedAt: at, State: StateOpen, Record: 7,
	}.Cells())
	require.Equal(t, "s/a s/b s/c", e["duties"])
	require.Equal(t, "2026-03-02T01:00:00.5Z", e["dueAt"])
	require.Empty(t, e["acknowledgedAt"])
	require.Empty(t, e["receivedAt"])
	require.Equal(t, "7", e["record"])
	require.Equal(t, "2026-03-02 09:00:00", e["dueAtLocal"], "at +08:00, as a spreadsheet reads it")
	require.Equal(t, "停电", e["title"])
	require.Equal(t, "第八条; 第九条", e["citations"], "each once")

	i := named(IncidentColumns, IncidentRow{
		Operator: "o", Incident: "i", Title: "停电", Grade: event.General, CouldBe: event.Major, Next: &event.Next{At: at, Grade: event.Major}, GradedAt: at,
		Desks: []string{"a", "b"}, Owed: []event.Obligation{{ID: "final"}}, ClosedBy: []Closing{{Desk: "a"}}, Record: 9,
	}.Cells())
	require.Equal(t, []string{"停电", "general", "major", "2026-03-02T01:00:00.5Z", "major", "a b", "final", "a"},
		[]string{i["title"], i["grade"], i["couldBe"], i["nextAt"], i["nextGrade"], i["desks"], i["owed"], i["closedBy"]})
	require.Empty(t, named(IncidentColumns, IncidentRow{}.Cells())["nextAt"])
	require.Empty(t, named(IncidentColumns, IncidentRow{}.Cells())["nextConfidence"])
	rising := IncidentRow{Next: &event.Next{Grade: event.Major, Confidence: event.ConfidenceUnverified}}
	require.Equal(t, "unverified", named(IncidentColumns, rising.Cells())["nextConfidence"])
	told := EscalationRow{Duties: []event.Duty{{Confidence: event.ConfidenceText}, {Confidence: event.ConfidenceUnverified}, {Confidence: event.ConfidenceSecondary}}}
	require.Equal(t, "unverified", named(EscalationColumns, told.Cells())["confidence"], "the weakest of its duties")
	require.Empty(t, named(EscalationColumns, EscalationRow{}.Cells())["confidence"])

	s := named(StatsColumns, StatsRow{By: "grade", Value: "major", Escalations: 4, ReportedInTime: &half}.Cells())
	require.Equal(t, []string{"major", "4", "0.5", ""}, []string{s["value"], s["escalations"], s["reportedInTime"], s["acknowledgedInTime"]})
}

func TestCells_OfAFullRowAreFilled(t *testing.T) {
	t.Parallel()
	var escalation EscalationRow
	var incident IncidentRow
	var stats StatsRow
	for _, row := range []interface{ Cells() []string }{&escalation, &incident, &stats} {
		codectest.Fill(row)
		require.NotContains(t, row.Cells(), "", "%T", row)
	}
}

func TestCells_AreNeverFormulas(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": " '=1", "\r=1": `\u000d=1`, " =1": " '=1", "\ufeff=1": `\ufeff=1`,
		"＝1+1": "'＝1+1", "\u200b=cmd|' /C calc'!A0": `\u200b=cmd|' /C calc'!A0`, "\nx": " x",
		"a;=1": "a;'=1", "a; =1": "a; '=1", `a;"=1"`: `a;"'=1"`, "a|+1,@x": "a|'+1,'@x", "停电;\t-2": "停电; '-2", "x\u202e": `x\u202e`,
		"": "", "inc-1": "inc-1", "a=b": "a=b", "停电": "停电", "2026-03-02": "2026-03-02", "'=1": "'=1", "a, b": "a, b",
	} {
		require.Equal(t, want, IncidentRow{Title: sent}.Cells()[3], "%q", sent)
	}
}

// Whatever an operator sends, and whichever separator the file is opened with: no cell
// begins with a formula character.
func TestCells_OfAnyTextAreNeverFormulas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anything := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("=+-@ \t\r\n\"',;|:＝＋\u202e\ufeff")), rapid.Rune()))
		sent := anything.Draw(t, "title")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		require.NoError(t, w.Write(EscalationRow{Title: sent, AcknowledgedBy: anything.Draw(t, "post"), ReportedAt: time.Unix(1, 0)}.Cells()))
		w.Flush()
		line := strings.TrimSuffix(b.String(), "\n")
		require.NotContains(t, line, "\n", "a row is a line")
		for _, comma := range separators + "\t" {
			for _, cell := range strings.Split(line, string(comma)) {
				cell = strings.TrimFunc(cell, func(r rune) bool { return r == '"' || unicode.IsSpace(r) })
				require.False(t, strings.IndexAny(cell, formulas) == 0, "%q by %q in %q", cell, comma, line)
			}
			r := csv.NewReader(strings.NewReader(line))
			r.Comma, r.LazyQuotes = comma, true
			cells, err := r.Read()
			require.NoError(t, err)
			for _, cell := range cells {
				require.False(t, strings.IndexAny(strings.TrimSpace(cell), formulas) == 0, "%q by %q in %q", cell, comma, line)
			}
		}
	})
}
