package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func TestStats(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	var asked []api.StatsQuery
	part := func(x float64) *float64 { return &x }
	serve(f, api.EndpointStats, func(q api.StatsQuery) any {
		asked = append(asked, q)
		rows := map[string][]api.StatsRow{
			"grade": {
				{By: "grade", Value: "major", Escalations: 12, Timed: 3000, Late: 1, ReportedInTime: part(2999.0 / 3000), Targeted: 4, AcknowledgedLate: 1, Overdue: 1, Acknowledged: 3, AcknowledgedInTime: part(0.5)},
				{By: "grade", Value: "general", Escalations: 1},
			},
			"desk": {{By: "desk", Value: "desk-a", Escalations: 13}},
		}
		return api.StatsAnswer{Rows: rows[q.By]}
	})
	code, out, errOut := f.run("log", "stats", "--text", "停电 电网", "--since", "2026-01-01")
	require.Equal(t, exitOK, code, errOut)
	require.Len(t, asked, 6, "every dimension, one after the other")
	for i, q := range asked {
		require.Equal(t, api.StatsDimensions[i], q.By)
		require.Equal(t, "停电 电网", q.Text)
		require.NotNil(t, q.Since)
	}
	require.Equal(t, strings.Join([]string{
		"grade    told  told in time  late  acknowledged in time  late ack  overdue",
		"major      12  99.9% / 3000     1             50.0% / 4         1        1",
		"general     1             –     0                     –         0        0",
		"", ""}, "\n"), out[:strings.Index(out, "desk ")], "not rounded up to all")
	require.Contains(t, out, "month  told  told in time  late  acknowledged in time  late ack  overdue\n(none)\n")

	code, out, _ = f.run("log", "stats", "--by", "grade", "--lang", "zh")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "级别  报送      按时报送  迟报   按时签收  逾期签收  逾期未签收\n重大    12  99.9% / 3000     1  50.0% / 4         1           1\n", "Chinese takes two columns")

	code, out, _ = f.run("log", "stats", "--by", "grade,desk", "--json")
	require.Equal(t, exitOK, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	keys(t, decode(t, lines[0]), "by", "value", "escalations", "timed", "late", "targeted", "acknowledgedLate", "overdue", "acknowledged", "reportedInTime", "acknowledgedInTime")
	require.Nil(t, decode(t, lines[1])["reportedInTime"])

	_, plain, _ := f.run("log", "stats", "--by", "grade", "--csv")
	code, out, _ = f.run("log", "stats", "--by", "grade", "--csv-excel")
	require.Equal(t, exitOK, code)
	require.Equal(t, api.ByteOrderMark+plain, out)
	code, out, _ = f.run("log", "stats", "--by", "grade", "--csv")
	require.Equal(t, exitOK, code)
	require.Equal(t, "by,value,escalations,timed,late,reportedInTime,targeted,acknowledgedLate,overdue,acknowledged,acknowledgedInTime\n"+
		"grade,major,12,3000,1,0.9996666666666667,4,1,1,3,0.5\ngrade,general,1,0,0,,0,0,0,0,\n", out)

	code, _, errOut = f.run("log", "stats", "--by", "weather")
	require.Equal(t, exitUnreachable, code)
	require.Contains(t, errOut, "grade, desk, sector, region, statute, month")
}

func TestStats_RefusalIsPrinted(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	serve(f, api.EndpointStats, func(api.StatsQuery) any {
		return api.StatsAnswer{Errors: []fault.Detail{{Path: "$.text", Message: "is too long"}}}
	})
	code, _, errOut := f.run("log", "stats")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "$.text: is too long")
}
