package interchange

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/fault"
)

const (
	doeHead = "Event Month,Event Start,Event End,State,NERC Region (N),Alert Criteria (N),Event Type (N),Number of Customers Affected\n"
	from    = "2022-05-03 06:15:00"
	to      = "2022-05-03 11:45:00"
)

// doeRow is one row; customers and texts may need quoting.
func doeRow(start, end, region, criteria, kind, customers string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Write([]string{"May", start, end, "Northland", region, criteria, kind, customers})
	w.Flush()
	return b.String()
}

func collect(f importFunc, input string) (lines []string, faults []fault.Detail) {
	err := f(strings.NewReader(input), plant, func(b []byte) error {
		lines = append(lines, string(b))
		return nil
	})
	return lines, fault.DetailsOf(err)
}

func TestDOE417Customers(t *testing.T) {
	for _, c := range []struct {
		rows []string
		want float64 // -1 for no fact
	}{
		{[]string{"61500"}, 61500},
		{[]string{"61,500"}, 61500},
		{[]string{"1,234,567.0"}, 1234567},
		{[]string{"0"}, 0},
		{[]string{"12000000000"}, 12000000000},
		{[]string{""}, -1},
		{[]string{"unknown"}, -1},
		{[]string{"n/a"}, -1},
		{[]string{"Unkonwn"}, -1},
		{[]string{"-"}, -1},
		{[]string{"1 PG&E"}, -1},
		{[]string{"100", "100.0", "Unknown"}, 100},
		{[]string{"Unknown", "1,000", "1000", ""}, 1000},
	} {
		input := doeHead
		for _, n := range c.rows {
			input += doeRow(from, to, "NOR", "c", "Severe Weather", n)
		}
		got := one(t, DOE417, plant, input).Report.Facts.PeopleAffected
		if c.want < 0 {
			require.Nil(t, got, c.rows)
			continue
		}
		require.NotNil(t, got, c.rows)
		require.Equal(t, c.want, got.Value)
		require.False(t, got.AtLeast)
	}
}

func TestDOE417Outage(t *testing.T) {
	for _, c := range []struct {
		end     string
		ongoing bool
		outages int
		until   string
	}{
		{to, false, 1, "2022-05-03T11:45:00Z"},
		{to, true, 1, "2022-05-03T11:45:00Z"},
		{"2022-05-03 11:45", false, 1, "2022-05-03T11:45:00Z"},
		{"", false, 0, ""},
		{"Unknown", false, 0, ""},
		{"", true, 1, ""},
		{" UNKNOWN ", true, 1, ""},
	} {
		o := plant
		o.Ongoing = c.ongoing
		e := one(t, DOE417, o, doeHead+doeRow(from, c.end, "NOR", "c", "Severe Weather", "1"))
		require.Equal(t, "2022-05-03T06:15:00Z", e.Time.Format(time.RFC3339))
		require.Len(t, e.Report.Facts.Outage, c.outages, c.end)
		if c.outages == 0 {
			continue
		}
		out := e.Report.Facts.Outage[0]
		require.Equal(t, "plant", out.Facility)
		require.Equal(t, "main-function", out.Scope)
		require.Equal(t, e.Time, out.Since.UTC())
		if c.until == "" {
			require.Nil(t, out.Until)
		} else {
			require.Equal(t, c.until, out.Until.Format(time.RFC3339))
		}
	}
}

// Rows are one event when start, end, region, criteria and type agree, even with other
// rows between them.
func TestDOE417Rows(t *testing.T) {
	first := doeRow(from, to, "NOR", "c", "Severe Weather", "1")
	rows := []string{
		first,
		doeRow("2022-05-03 06:16:00", to, "NOR", "c", "Severe Weather", "2"),
		doeRow(from, "2022-05-03 11:46:00", "NOR", "c", "Severe Weather", "3"),
		doeRow(from, to, "SOU", "c", "Severe Weather", "4"),
		doeRow(from, to, "NOR", "d", "Severe Weather", "5"),
		doeRow(from, to, "NOR", "c", "Vandalism", "6"),
		doeRow(from, "", "NOR", "c", "Severe Weather", "7"),
		doeRow(from+" ", to, " NOR", "\n   c", "Severe  Weather", "1.0"),
	}
	rows[7] = strings.Replace(rows[7], "Severe  Weather", "Severe Weather", 1)
	lines, faults := run(t, DOE417, plant, doeHead+strings.Join(rows, ""))
	require.Empty(t, faults)
	require.Len(t, lines, 7)
	var people []float64
	ids := map[string]bool{}
	for _, line := range lines {
		e := accepted(t, line)
		people = append(people, e.Report.Facts.PeopleAffected.Value)
		ids[e.ID], ids[e.Subject] = true, true
		require.Regexp(t, `^doe417-[0-9a-f]{16}$`, e.ID)
		require.Regexp(t, `^doe417-20220503T061[56]00-`+e.ID[7:15]+`$`, e.Subject)
	}
	require.Equal(t, []float64{1, 2, 3, 4, 5, 6, 7}, people)
	require.Len(t, ids, 14)

	alone, _ := run(t, DOE417, plant, doeHead+first)
	require.Equal(t, lines[0], alone[0], "an event is the same in another table")
}

func TestDOE417KindAndTitle(t *testing.T) {
	for _, c := range []struct{ kind, region, criteria, want, title string }{
		{"Severe Weather", "NOR", "Loss of service", "force-majeure", "Severe Weather (NOR): Loss of service"},
		{"Severe Weather,Transmission Interruption", "NOR,SOU", "", "force-majeure", "Severe Weather,Transmission Interruption (NOR,SOU)"},
		{"Natural Disaster", "", "x", "force-majeure", "Natural Disaster: x"},
		{"Cyber Event", "", "", "network-attack", "Cyber Event"},
		{"Suspicious Activity", "", "", "abnormal-behaviour", "Suspicious Activity"},
		{"Actual Physical Attack,Vandalism", "", "", "facility-fault", "Actual Physical Attack,Vandalism"},
		{"Sabotage", "", "", "facility-fault", "Sabotage"},
		{"System Operations", "", "", "facility-fault", "System Operations"},
		{"Fuel Supply Deficiency", "", "", "facility-fault", "Fuel Supply Deficiency"},
		{"Generation Inadequacy", "", "", "facility-fault", "Generation Inadequacy"},
		{"", "", "", "other", "Electric emergency"},
	} {
		e := one(t, DOE417, plant, doeHead+doeRow(from, to, c.region, c.criteria, c.kind, ""))
		require.Equal(t, c.want, e.Report.Kind, c.kind)
		require.Equal(t, c.title, e.Report.Title)
	}
}

func TestDOE417Faults(t *testing.T) {
	row := func(start, end, n string) string { return doeRow(start, end, "NOR", "c", "Severe Weather", n) }
	good := doeRow(from, to, "SOU", "c", "Severe Weather", "5")
	for _, c := range []struct {
		bad  string
		want []string
	}{
		{row(from, to, "-5"), []string{`Number of Customers Affected: "-5" is not a whole number, nothing, or Unknown`}},
		{row(from, to, "12,34"), []string{`Number of Customers Affected: "12,34" is not a whole number, nothing, or Unknown`}},
		{row(from, to, "9007199254740992"), []string{`Number of Customers Affected: is greater than 9007199254740991`}},
		{row("", to, "5"), []string{"Event Start: is required"}},
		{row("2022-13-03 06:15:00", "soon", "x"), []string{
			`Event Start: "2022-13-03 06:15:00" is not a time such as 2021-01-31 22:44:00`,
			`Event End: "soon" is not a time such as 2021-01-31 22:44:00`,
			`Number of Customers Affected: "x" is not a whole number, nothing, or Unknown`}},
		{row("1022-05-03 06:15:00", to, "5"), []string{`Event Start: "1022-05-03 06:15:00" must lie between the years 1970 and 2200`}},
		{row(to, from, "5"), []string{"Event End: is before the start"}},
		{"May," + from + "\n", []string{"row: has 2 columns, the header 8"}},
		{strings.TrimSpace(row(from, to, "5")) + ",x\n", []string{"row: has 9 columns, the header 8"}},
		{"May,a\"b\n", []string{`row: is not CSV: bare " in non-quoted-field`}},
	} {
		for i := range c.want {
			c.want[i] = "line 4, row 3: " + c.want[i]
		}
		two := strings.Replace(good, ",c,", ",\"c\n\",", 1) // one row of two lines
		lines, faults := run(t, DOE417, plant, doeHead+two+c.bad+"\n,,,\n"+good)
		require.Equal(t, c.want, faults)
		require.Len(t, lines, 1, "the rest goes through")
	}
}

func TestDOE417Input(t *testing.T) {
	good := doeRow(from, to, "NOR", "c", "Severe Weather", "5")
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	plainLines, _ := run(t, DOE417, plant, doeHead+good)
	for _, same := range []string{
		utf8BOM + doeHead + good,
		crlf(doeHead + good),
		strings.TrimSpace(doeHead + good),
		strings.ReplaceAll(doeHead, " (N)", "") + good,
		strings.ToUpper(doeHead) + good,
	} {
		lines, faults := run(t, DOE417, plant, same)
		require.Empty(t, faults)
		require.Equal(t, plainLines, lines)
	}
	e := one(t, DOE417, plant, doeHead+doeRow(from, to, "NO\xff", "c", "Severe Weather", "5"))
	require.Equal(t, "Severe Weather (NO\uFFFD): c", e.Report.Title)

	for _, c := range []struct {
		input string
		want  []string
	}{
		{"", []string{"line 1, row 1: header: is missing"}},
		{"Event Start,Event End,Event Type,Event start\n" + good, []string{
			"line 1, row 1: Event start: the header names this column twice",
			"line 1, row 1: NERC Region: the header has no such column",
			"line 1, row 1: Number of Customers Affected: the header has no such column"}},
		{"a\"b\n" + good, []string{`line 1, row 1: row: is not CSV: bare " in non-quoted-field`}},
		{doeHead + "May,\"open\n" + good + good, []string{`line 2, row 2: row: is not CSV: extraneous or missing " in quoted-field; lines 2 to 4 are lost`}},
	} {
		lines, faults := run(t, DOE417, plant, c.input)
		require.Empty(t, lines)
		require.Equal(t, c.want, faults)
	}
	lines, faults := run(t, DOE417, plant, doeHead)
	require.Empty(t, lines)
	require.Empty(t, faults, "a table without events is no fault")
}

// The order of the rows decides the order of the incidents and nothing else.
func TestDOE417Shuffled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.Custom(func(t *rapid.T) string {
			return doeRow(
				fmt.Sprintf("2022-05-03 06:%02d:00", rapid.IntRange(0, 2).Draw(t, "start")),
				rapid.SampledFrom([]string{to, "", "Unknown", "never"}).Draw(t, "end"),
				rapid.SampledFrom([]string{"NOR", "SOU", "NOR,SOU"}).Draw(t, "region"),
				rapid.SampledFrom([]string{"c", "d e", "d\n  e"}).Draw(t, "criteria"),
				rapid.SampledFrom([]string{"Severe Weather", "Vandalism"}).Draw(t, "type"),
				rapid.SampledFrom([]string{"", "Unknown", "0", "61,500", "70000", "-1"}).Draw(t, "customers"),
			)
		})).Draw(t, "rows")
		want, faults := collect(DOE417, doeHead+strings.Join(rows, ""))
		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		got, gotFaults := collect(DOE417, doeHead+strings.Join(shuffled, ""))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) || len(faults) != len(gotFaults) {
			t.Fatalf("got %v %v, want %v %v", got, gotFaults, want, faults)
		}
	})
}
