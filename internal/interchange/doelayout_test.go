package interchange

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// told is what a test compares of an event.
type told struct {
	start, end string // until "" where no outage is told
	people     string
	title      string
}

func tellDOE(t *testing.T, input string) (out []told, notes, faults []string) {
	t.Helper()
	o := plant
	o.Note = func(d fault.Detail) { notes = append(notes, d.Path+": "+d.Message) }
	lines, faults := run(t, DOE417, o, input)
	for _, line := range lines {
		r := accepted(t, line).Report
		e := told{start: r.DiscoveredAt.Format("2006-01-02 15:04"), title: r.Title}
		if r.Facts.Outage != nil {
			e.end = r.Facts.Outage[0].Until.Format("2006-01-02 15:04")
		}
		if n := r.Facts.PeopleAffected; n != nil {
			b, err := n.MarshalJSON()
			require.NoError(t, err)
			e.people = string(b)
		}
		out = append(out, e)
	}
	return out, notes, faults
}

// The official annual summaries: a title, headings of months, rows that continue on the
// next one, notes, and the columns of several years, also one after another.
func TestDOE417_AnnualSummaries(t *testing.T) {
	got, notes, faults := tellDOE(t, `Table 9.,"Major Disturbances, 2003",,,,,,
,,,,,,,
Date,NERC Region,Time,Area,Type of Disturbance,Loss (megawatts),Number of Customers Affected 1,Restoration
,,,,,,,Date/Time
January,,,,,,,
1/30/03,NOR,6:00 AM,Northland,Ice Storm,500,"1,200,000",2/7/03 12:00
1/31/03,NOR,Evening,Northland,Ice Storm,500-600,"270,000",NA
4/8/03,SOU,3:00 p.m.,Southland,Vandalism/,20,0,9-Apr
,,,,Insulators,,,
12/30/03,SOU,4:00 a.m.,Southland,Fire,UNK,1 Utility Co,12:17 p.m. January 02
Source: written for this test.,,,,,,,
,,"OE-417 Events, 2023",,,,,,,,
Event Year,Event Month,Date Event Began,Time Event Began,Date of Restoration,Time of Restoration,Area Affected,NERC Region,Alert Criteria,Event Type,Demand Loss (MW),Number of Customers Affected
2023,January,01/02/2023,6:22 PM,01/02/2023,10:27 PM,Eastland: Elm County;,EAS,Some criterion,Severe Weather,20,6849,
2023,January,01/03/2023,9:55 AM,01/03/2023,10:30 AM,Eastland: Ash County;,EAS,Some criterion,Suspicious Activity,0,0,
2023,January,01/04/2023,9:55 AM,Unkonwn,Unknown,Eastland: Ash County;,EAS,Some criterion,Severe Weather,5,9,
Month,Event Start,Event End,NERC Region,Event Type,Number of Customers Affected
May,2024-05-03 06:15:00,2024-05-03 11:45:00,WES,Severe Weather,7
`)
	require.Empty(t, faults)
	require.Equal(t, []told{
		{"2003-01-30 06:00", "2003-02-07 12:00", "1200000", "Ice Storm (NOR)"},
		{"2003-01-31 00:00", "", "270000", "Ice Storm (NOR)"},
		{"2003-04-08 15:00", "", "0", "Vandalism/ Insulators (SOU)"},
		{"2003-12-30 04:00", "", "", "Fire (SOU)"},
		{"2023-01-02 18:22", "2023-01-02 22:27", "6849", "Severe Weather (EAS): Some criterion"},
		{"2023-01-03 09:55", "", "0", "Suspicious Activity (EAS): Some criterion"},
		{"2023-01-04 09:55", "", "9", "Severe Weather (EAS): Some criterion"},
		{"2024-05-03 06:15", "2024-05-03 11:45", "7", "Severe Weather (WES)"},
	}, got)
	require.Equal(t, []string{
		`line 10, row 10: Number of Customers Affected: "1 Utility Co" is no number; it is left out`,
		"line 11, row 11: is not an event: Source: written for this test.",
	}, notes)
}

// Times as spreadsheets save them.
func TestDOE417_Times(t *testing.T) {
	const none = ""
	for _, c := range []struct{ date, clock, endDate, endClock, start, end string }{
		{"1/7/15", "5:00 PM", "1/8/15", "8:35 AM", "2015-01-07T17:00:00Z", "2015-01-08T08:35:00Z"},
		{"01/07/2015", "17:00", "01/08/2015", "08:35:30", "2015-01-07T17:00:00Z", "2015-01-08T08:35:30Z"},
		{"42011", "0.708333333333333", "42012", "0.357638888888889", "2015-01-07T17:00:00Z", "2015-01-08T08:35:00Z"},
		{"42011.7083333333", "", "42012.3576388889", "", "2015-01-07T17:00:00Z", "2015-01-08T08:35:00Z"},
		{"2015-01-07 00:00:00", "17:00:00", "1/8/2015 0:00", "8:35", "2015-01-07T17:00:00Z", "2015-01-08T08:35:00Z"},
		{"1/7/2015", "1/0/1900 17:00", "1/8/2015", "1899-12-30 08:35:00", "2015-01-07T17:00:00Z", "2015-01-08T08:35:00Z"},
		{"1/7/15", "12:00 AM", "1/7/15", "24:00", "2015-01-07T00:00:00Z", "2015-01-08T00:00:00Z"},
		{"1/7/15", "0:00", "1/7/15", "12:00 noon", "2015-01-07T00:00:00Z", "2015-01-07T12:00:00Z"},
		{"7-Jan-15", "5:00 p.m. EST", "8-Jan", "8:35 a.m", "2015-01-07T22:00:00Z", "2015-01-08T13:35:00Z"},
		{"2015-01-07T17:00:00-05:00", "", "2015-01-08T08:35:00Z", "", "2015-01-07T22:00:00Z", "2015-01-08T08:35:00Z"},
		{"December 30, 2015", "5 PM", "January 2", "8:35", "2015-12-30T17:00:00Z", "2016-01-02T08:35:00Z"},
		// An unknown time stays unknown: it does not become midnight.
		{"1/7/15", "Evening", "1/8/15", "8:35 AM", "2015-01-07T00:00:00Z", none},
		{"1/7/15", "Unknown", "1/8/15", "8:35 AM", "2015-01-07T00:00:00Z", none},
		{"1/7/15", "5:00 PM", "1/8/15", "Unknown", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "5:00 PM", "1/8/15", "", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "5:00 PM", "2015-01-08 00:00:00", "N/A", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "5:00 PM", "Unknown", "8:35 AM", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "5:00 PM", "1/7/15", "12:00 midnight", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "5:00 PM", "1/7/15", "12:00 AM", "2015-01-07T17:00:00Z", none},
		{"1/7/15", "17:00", "42011", "0", "2015-01-07T17:00:00Z", none},
	} {
		head := "Date Event Began,Time Event Began,Date of Restoration,Time of Restoration,NERC Region,Event Type,Number of Customers Affected\n"
		if c.clock == "" && c.endClock == "" {
			head = "Event Start,x,Event End,y,NERC Region,Event Type,Number of Customers Affected\n"
		}
		row := `"` + strings.Join([]string{c.date, c.clock, c.endDate, c.endClock, "NOR", "Severe Weather", "5"}, `","`) + `"`
		r := one(t, DOE417, plant, head+row).Report
		require.Equal(t, c.start, r.DiscoveredAt.UTC().Format(time.RFC3339Nano), row)
		if c.end == none {
			require.Empty(t, r.Facts.Outage, row)
			continue
		}
		require.Len(t, r.Facts.Outage, 1, row)
		require.Equal(t, c.end, r.Facts.Outage[0].Until.UTC().Format(time.RFC3339Nano), row)
		require.Equal(t, !strings.Contains(row, "EST") && !strings.Contains(row, "-05:00"), strings.Contains(r.Other, "UTC"), row)
	}
}

func TestDOE417_TimeFaults(t *testing.T) {
	head := "Date Event Began,Time Event Began,Date of Restoration,Time of Restoration,NERC Region,Event Type,Number of Customers Affected\n"
	for row, want := range map[string]string{
		"31/01/2015,5:00 PM,,":             `Date Event Began: "31/01/2015" is not a time such as 2021-01-31 22:44:00`,
		"1/7/15,25:00,,":                   `Time Event Began: "25:00" is not a time such as 2021-01-31 22:44:00`,
		"1/7/15,5:60 PM,,":                 `Time Event Began: "5:60 PM" is not a time such as 2021-01-31 22:44:00`,
		"1/7/15,17:00 AM,,":                `Time Event Began: "17:00 AM" is not a time such as 2021-01-31 22:44:00`,
		"1/7/15,5:00 PM,1/7/15,12:01 AM":   "Date of Restoration: is before the start",
		"1/7/15,5:00 PM,9-Feb-14,12:00 AM": "Date of Restoration: is before the start",
		"4/10/15,5:00 PM,March 9,1:00 PM":  `Date of Restoration: "March 9" is not a time such as 2021-01-31 22:44:00`,
		"9-Apr,5:00 PM,,":                  `Date Event Began: "9-Apr" is not a time such as 2021-01-31 22:44:00`,
		"1/7/15 6:00,5:00 PM,,":            `Date Event Began: "1/7/15 6:00" and "5:00 PM" name different times`,
		"Unknown,5:00 PM,,":                "Date Event Began: is required",
	} {
		got, _, faults := tellDOE(t, head+row+",NOR,Severe Weather,5\n1/9/15,1:00 PM,,,NOR,Severe Weather,6\n")
		require.Equal(t, []string{"line 2, row 2: " + want}, faults)
		require.Len(t, got, 1, "the other row comes out")
	}
}

// Filings with the same key and contradicting numbers are both kept, in any order.
func TestDOE417_ContradictionsAreKept(t *testing.T) {
	head := "Event Start,Event End,NERC Region,Alert Criteria,Event Type,Demand Loss (MW),Number of Customers Affected\n"
	row := func(loss, customers string) string {
		return from + "," + to + ",NOR,c,Severe Weather,\"" + loss + "\"," + customers + "\n"
	}
	ids := func(input string) (ids []string) {
		lines, faults := run(t, DOE417, plant, input)
		require.Empty(t, faults)
		for _, line := range lines {
			ids = append(ids, accepted(t, line).ID)
		}
		return ids
	}
	first, second := row("100", "80000"), row("100", "156000")
	got, notes, _ := tellDOE(t, head+first+second+row("Unknown", "")+second)
	require.Equal(t, []string{"156000", "80000"}, []string{got[0].people, got[1].people})
	require.Len(t, got, 2)
	require.Equal(t, []string{"line 2, row 2: contradicts line 3, row 3 in a number: customers 80000, MW lost 100, not customers 156000, MW lost 100; both filings are imported"}, notes)
	require.Equal(t, ids(head+first+second), ids(head+second+first))
	require.NotEqual(t, ids(head + first + second)[0], ids(head + first + second)[1])

	require.Len(t, ids(head+row("360", "Unknown")+row("402", "Unknown")), 2, "the load lost is a number, too")
	require.Len(t, ids(head+row("1,000", "5")+row("1000.0", "")), 1, "the same number, written otherwise")
	require.Len(t, ids(head+row("360", "Unknown")+row("", "70")), 1, "what complements each other")
}

// Where a comma is the decimal sign, a spreadsheet uses another separator.
func TestDOE417_Separators(t *testing.T) {
	want, _, faults := tellDOE(t, "Annual summary\n"+doeHead+doeRow(from, to, "NOR", "a, b", "Severe Weather", "5"))
	require.Empty(t, faults)
	require.Len(t, want, 1)
	for _, separator := range []string{";", "\t"} {
		head := strings.ReplaceAll(doeHead, ",", separator)
		row := strings.Join([]string{"May", from, to, "Northland", "NOR", "a, b", "Severe Weather", "5"}, separator)
		got, _, faults := tellDOE(t, "Annual summary\n"+head+row)
		require.Empty(t, faults)
		require.Equal(t, want, got)
	}
}

// An inexact or contradictory value is reported and not guessed; the row is imported.
func TestDOE417_OddCells(t *testing.T) {
	t.Parallel()
	head := "Date Event Began,Time Event Began,Date of Restoration,Time of Restoration,NERC Region,Event Type,Number of Customers Affected\n"
	for _, count := range []string{"~2,000", "≈ 2000", "about 9", "approx. 2,000", "Approximately 2000", "est. 2,000", "2,000 (est.)", "<500", "up to 3,000"} {
		var notes []fault.Detail
		o := plant
		o.Note = func(d fault.Detail) { notes = append(notes, d) }
		lines, faults := run(t, DOE417, o, head+`1/7/15,1:00 PM,1/7/15,3:00 PM,WECC,Vandalism,"`+count+"\"\n")
		require.Empty(t, faults, count)
		require.Len(t, lines, 1)
		require.NotContains(t, lines[0], "peopleAffected", count)
		require.Equal(t, []fault.Detail{{Path: "line 2, row 2: Number of Customers Affected", Message: fmt.Sprintf("%q is about a number, so that none is certain; it is left out", count)}}, notes)
	}
	var notes []fault.Detail
	o := plant
	o.Note = func(d fault.Detail) { notes = append(notes, d) }
	lines, faults := run(t, DOE417, o, head+"1/7/15,13:00 PM,1/7/15,15:30 p.m.,WECC,Vandalism,5\n")
	require.Empty(t, faults)
	require.Contains(t, lines[0], "2015-01-07T13:00:00Z")
	require.ElementsMatch(t, []fault.Detail{
		{Path: "line 2, row 2: Time Event Began", Message: `"13:00 PM" counts to 24 and to 12 at once; it is read as 13:00`},
		{Path: "line 2, row 2: Time of Restoration", Message: `"15:30 p.m." counts to 24 and to 12 at once; it is read as 15:30`},
	}, notes)
}
