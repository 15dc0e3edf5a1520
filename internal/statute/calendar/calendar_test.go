package calendar

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/schemas"
)

// china returns the calendar of this repository.
func china(t testing.TB) *Calendar {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Statutes, "calendars/cn.yaml")
	require.NoError(t, err)
	c, err := Decode(raw)
	require.NoError(t, err)
	return c
}

func day(t testing.TB, s string) Day {
	t.Helper()
	d, err := ParseDay(s)
	require.NoError(t, err)
	return d
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// The notices of the State Council count the days off of each holiday; the sums are
// theirs, written down apart from the file.
func TestChina_HasTheHolidaysThatWereAnnounced(t *testing.T) {
	c := china(t)
	require.Len(t, c.Holidays, 28+33, "2025: 1+8+3+5+3+8; 2026: 3+9+3+5+3+3+7")
	for d, works := range map[string]bool{
		"2025-01-26": true, "2025-01-27": true, "2025-01-28": false, "2025-02-04": false, "2025-02-08": true, "2025-02-09": false,
		"2025-09-28": true, "2025-10-08": false, "2025-10-11": true, "2025-10-12": false,
		"2026-01-02": false, "2026-01-04": true, "2026-02-14": true, "2026-02-16": false, "2026-02-23": false, "2026-02-24": true,
		"2026-02-28": true, "2026-03-01": false, "2026-04-06": false, "2026-05-09": true, "2026-09-20": true, "2026-09-25": false,
		"2026-10-07": false, "2026-10-08": true, "2026-10-10": true, "2026-12-31": true,
	} {
		require.Equal(t, works, c.Works(day(t, d)), d)
	}
}

func TestPlace_EndsWithItsCalendar(t *testing.T) {
	p := Place{Zone: zone(t, "Asia/Shanghai"), Days: china(t)}
	last := p.EndOf(p.WorkingDay(1, day(t, "2026-12-30")))
	require.Equal(t, "2027-01-01T00:00:00+08:00", last.Format(time.RFC3339))
	require.Empty(t, p.Ends(last))
	next := p.WorkingDay(1, day(t, "2026-12-31"))
	require.Equal(t, "2027-01-01", next.String(), "nobody has announced the holidays of 2027: the earlier day is taken")
	require.Equal(t, "2026-12-31", p.Ends(p.EndOf(next)))
	require.Equal(t, "2027-01-04", p.WorkingDay(1, next).String(), "a weekend is free in any year")
	require.Empty(t, Place{Zone: time.UTC}.Ends(last.AddDate(50, 0, 0)))
}

func TestPlace_CountsWorkingDaysAcrossSpringFestival(t *testing.T) {
	p := Place{Zone: time.UTC, Days: china(t)}
	for n, want := range map[int]string{0: "2026-02-13", 1: "2026-02-14", 2: "2026-02-24", 6: "2026-02-28", 7: "2026-03-02"} {
		require.Equal(t, want, p.WorkingDay(n, day(t, "2026-02-13")).String(), "working day %d after Friday the 13th", n)
	}
	require.Equal(t, "2026-02-15", Place{Zone: time.UTC}.WorkingDay(2, day(t, "2026-02-13")).String(), "without a calendar every day is worked")
}

func TestDay_AddMonthsEndsWithTheMonth(t *testing.T) {
	for from, want := range map[string]string{
		"2026-01-31": "2026-02-28", "2028-01-31": "2028-02-29", "2026-01-28": "2026-02-28", "2026-11-30": "2026-12-30", "2026-12-31": "2027-01-31",
	} {
		require.Equal(t, want, day(t, from).AddMonths(1).String(), from)
	}
	require.Equal(t, "2027-02-28", day(t, "2026-11-30").AddMonths(3).String())
}

// zones change their clocks at midnight (twice a year in the Azores and in Havana, once
// in São Paulo), elsewhere in the day, by half an hour, or never.
var zones = []string{"Asia/Shanghai", "Europe/Brussels", "Atlantic/Azores", "America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}

// Property: In is the first moment of the day in the zone.
func TestDay_InIsTheFirstMoment(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(r, "zone"))
		d := Day{1990, 1, 1}.Add(rapid.IntRange(0, 20000).Draw(r, "day"))
		at := d.In(z)
		if DayOf(at) != d || !DayOf(at.Add(-1)).Before(d) {
			r.Fatalf("%s begins at %s in %s", d, at, z)
		}
	})
}

func TestDay_InWhereMidnightIsMissingOrComesTwice(t *testing.T) {
	azores := zone(t, "Atlantic/Azores")
	require.Equal(t, "2026-03-29T01:00:00Z", day(t, "2026-03-29").In(azores).UTC().Format(time.RFC3339), "00:00 is left out")
	require.Equal(t, "2026-10-25T00:00:00Z", day(t, "2026-10-25").In(azores).UTC().Format(time.RFC3339), "00:00 comes twice")
}

// Property: a later day never has an earlier nth working day, and it is after the day.
func TestPlace_WorkingDayIsMonotone(t *testing.T) {
	p := Place{Zone: time.UTC, Days: china(t)}
	rapid.Check(t, func(r *rapid.T) {
		a := Day{2024, 12, 1}.Add(rapid.IntRange(0, 1000).Draw(r, "day"))
		b := a.Add(rapid.IntRange(0, 30).Draw(r, "later"))
		n := rapid.IntRange(1, 40).Draw(r, "n")
		endA, endB := p.WorkingDay(n, a), p.WorkingDay(n, b)
		if endB.Before(endA) || endA.Sub(a) < n {
			r.Fatalf("%d working days after %s end on %s, after %s on %s", n, a, endA, b, endB)
		}
	})
}

func TestDecode_RefusesWhatDoesNotAgree(t *testing.T) {
	const head = "id: x\ntitle: {zh: 甲, en: A}\nsource: S\nfrom: 2026-01-01\nuntil: 2026-12-31\n"
	for text, part := range map[string]string{
		head: "weekend",
		head + "weekend: [Saturday]\nholidays: [2027-01-01]\n":                             "outside the days",
		head + "weekend: [Saturday]\nholidays: [[2026-02-03, 2026-02-01]]\n":               "is no holiday",
		head + "weekend: [Saturday]\nholidays: [[2026-02-03]]\n":                           "the first and the last",
		head + "weekend: [Saturday]\nholidays: [2026-02-30]\n":                             "not a calendar date",
		head + "weekend: [Saturday]\nholidays: [2026-01-01]\nworkdays: [2026-01-01]\n":     "a holiday as well",
		head + "weekend: [Caturday]\n":                                                     "weekend",
		head + "weekend: [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]": "no day to work on",
		head + "weekend: []\nfree: true\n":                                                 "free",
	} {
		_, err := Decode([]byte(text))
		require.ErrorContains(t, err, part, text)
	}
	_, err := Decode([]byte(head + "weekend: []\n"))
	require.NoError(t, err)
}
