package calendar

import (
	"encoding/json"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

func limit(t require.TestingT, s string) Limit {
	l, err := ParseLimit(s)
	require.NoError(t, err, s)
	return l
}

var beijing = Place{Zone: event.Beijing}

func TestLimitReadsDaysOrHours(t *testing.T) {
	for text, want := range map[string]string{
		"P30D": "P30D", "P2W": "P14D", "P1W1D": "P8D", "P1D": "P1D",
		"PT1H": "PT1H", "PT30M": "PT30M", "PT90M": "PT1H30M", "PT24H": "PT24H", "PT36H5S": "PT36H5S", "PT0.5S": "PT0.5S",
		"P1M": "P1M", "P1Y": "P12M",
	} {
		assert.Equal(t, want, limit(t, text).String(), text)
	}
	for text, part := range map[string]string{
		"P1DT6H": "mixes days", "P1WT1M": "mixes days", "P0DT1H": "mixes days",
		"P1.5D": "only whole days", "P0.5W": "only whole days", "P0D": "no time at all", "PT0S": "no time at all",
		"P1M2D": "years and months", "P0M": "years and months", "": "not an ISO 8601", "30 days": "not an ISO 8601", "PT": "not an ISO 8601",
	} {
		_, err := ParseLimit(text)
		assert.ErrorContains(t, err, part, text)
	}
}

// The limit ends at 24:00 of the last day, across the end of a year and of two
// Februaries; days are those at +08:00, whatever the zone of the clock.
func TestLimitInDaysAcrossTheCalendar(t *testing.T) {
	for start, want := range map[string]string{
		"2026-03-01T00:00:00+08:00":           "2026-04-01T00:00:00+08:00",
		"2026-03-01T23:59:59.999999999+08:00": "2026-04-01T00:00:00+08:00",
		"2026-12-15T12:00:00+08:00":           "2027-01-15T00:00:00+08:00",
		"2027-02-01T08:00:00+08:00":           "2027-03-04T00:00:00+08:00",
		"2028-02-01T08:00:00+08:00":           "2028-03-03T00:00:00+08:00",
		"2028-02-29T08:00:00+08:00":           "2028-03-31T00:00:00+08:00",
		"2026-02-28T15:59:59Z":                "2026-03-31T00:00:00+08:00",
		"2026-02-28T16:00:00Z":                "2026-04-01T00:00:00+08:00",
		"2026-02-28T02:30:00-13:45":           "2026-04-01T00:00:00+08:00",
	} {
		at, err := time.Parse(time.RFC3339, start)
		require.NoError(t, err)
		assert.Equal(t, want, limit(t, "P30D").After(at, beijing).Format(time.RFC3339Nano), start)
	}
}

// instant draws a moment in any zone, often beside midnight at +08:00.
func instant(t *rapid.T, label string) time.Time {
	seconds := rapid.Int64Range(0, 7_258_000_000).Draw(t, label) // to 2199
	if rapid.Bool().Draw(t, label+" near midnight") {
		seconds -= (seconds+8*3600)%86400 + rapid.Int64Range(-2, 2).Draw(t, label+" off by")
	}
	nano := rapid.SampledFrom([]int64{0, 1, 999_999_999}).Draw(t, label+" ns")
	offset := rapid.SampledFrom([]int{0, 8 * 3600, -12 * 3600, 14 * 3600, 5*3600 + 45*60, -1, 29156}).Draw(t, label+" zone")
	return time.Unix(seconds, nano).In(time.FixedZone("", offset))
}

func TestPropertyLimitInDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(1, 400).Draw(t, "days")
		l := Limit{days: days}
		start := instant(t, "start")
		due := l.After(start, beijing)
		date := start.In(event.Beijing).Format(time.DateOnly)

		hour, minute, second := due.In(event.Beijing).Clock()
		require.Zero(t, hour+minute+second+due.Nanosecond(), "midnight")
		day, err := time.ParseInLocation(time.DateOnly, date, event.Beijing)
		require.NoError(t, err)
		require.Equal(t, l.After(day, beijing), due, "only the date at +08:00 matters")

		n := time.Duration(days) * 24 * time.Hour
		require.Greater(t, due.Sub(start), n)
		require.LessOrEqual(t, due.Sub(start), n+24*time.Hour)
		require.Equal(t, due, l.After(start.UTC(), beijing), "the zone does not matter")
		require.Equal(t, l, limit(t, l.String()))
		require.True(t, due.Before(Limit{days: days + 1}.After(start, beijing)))

		if other := instant(t, "other"); other.Before(start) {
			require.False(t, l.After(other, beijing).After(due), "monotone")
		} else {
			require.False(t, l.After(other, beijing).Before(due), "monotone")
		}
	})
}

func TestPropertyLimitInHoursIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.OneOf(rapid.Int64Range(1, int64(100*time.Hour)), rapid.SampledFrom([]int64{int64(time.Hour), int64(24 * time.Hour), int64(90 * time.Minute)})).Draw(t, "length")
		d = max(1, d/1000) * 1000 // ParseDuration reads seconds as a float
		l := Limit{exact: time.Duration(d)}
		start := instant(t, "start")
		require.Equal(t, time.Duration(d), l.After(start, beijing).Sub(start))
		require.Equal(t, l.After(start, beijing), l.After(start.UTC(), beijing))
		require.Equal(t, l, limit(t, l.String()))
	})
}

// place returns a zone with the calendar of China.
func place(t testing.TB, zone string) Place {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Statutes, "calendars/cn.yaml")
	require.NoError(t, err)
	days, err := Decode(raw)
	require.NoError(t, err)
	z, err := time.LoadLocation(zone)
	require.NoError(t, err)
	return Place{Zone: z, Days: days}
}

// written reads a limit as a pack has it.
func written(t require.TestingT, text string) Limit {
	var l Limit
	require.NoError(t, json.Unmarshal([]byte(text), &l), text)
	return l
}

func TestLimit_EndsWhereTheLawCountsTo(t *testing.T) {
	brussels, shanghai := place(t, "Europe/Brussels"), place(t, "Asia/Shanghai")
	for _, row := range []struct {
		limit string
		place Place
		start string
		want  string
		ends  string
	}{
		{`"P1M"`, shanghai, "2026-01-31T09:00:00+08:00", "2026-03-01T00:00:00+08:00", ""},
		{`"P1M"`, shanghai, "2028-01-31T09:00:00+08:00", "2028-03-01T00:00:00+08:00", ""},
		{`"P1M"`, brussels, "2026-03-15T09:00:00+01:00", "2026-04-16T00:00:00+02:00", ""},
		{`"P1D"`, brussels, "2026-03-28T23:30:00+01:00", "2026-03-30T00:00:00+02:00", ""},
		{`"PT24H"`, brussels, "2026-03-28T23:30:00+01:00", "2026-03-30T00:30:00+02:00", ""}, // hours are not days
		{`{"workingDays":1}`, shanghai, "2026-02-13T17:00:00+08:00", "2026-02-15T00:00:00+08:00", ""},
		{`{"workingDays":2}`, shanghai, "2026-02-13T17:00:00+08:00", "2026-02-25T00:00:00+08:00", ""},
		{`{"workingDays":1}`, shanghai, "2026-12-31T17:00:00+08:00", "2027-01-02T00:00:00+08:00", "2026-12-31"},
		{`{"time":"PT72H","roll":"12:00"}`, brussels, "2026-11-25T10:00:00+01:00", "2026-11-30T12:00:00+01:00", ""}, // Saturday
		{`{"time":"PT72H","roll":"12:00"}`, brussels, "2026-11-24T10:00:00+01:00", "2026-11-27T10:00:00+01:00", ""},
		{`{"time":"PT4H","roll":"12:00"}`, brussels, "2026-11-27T21:00:00+01:00", "2026-11-30T12:00:00+01:00", ""},
		{`{"time":"P1M","roll":"24:00"}`, brussels, "2026-10-14T08:00:00+02:00", "2026-11-17T00:00:00+01:00", ""},
		{`{"time":"P1M","roll":"12:00"}`, brussels, "2026-12-05T08:00:00+01:00", "2027-01-06T00:00:00+01:00", "2026-12-31"},
	} {
		start, err := time.Parse(time.RFC3339, row.start)
		require.NoError(t, err)
		l := written(t, row.limit)
		end := l.After(start, row.place)
		assert.Equal(t, row.want, end.Format(time.RFC3339), "%s from %s", row.limit, row.start)
		assert.Equal(t, row.ends, l.CalendarEnds(&end, row.place), "%s from %s", row.limit, row.start)
	}
}

// Property: no limit ends before it starts, and of the same limit without a roll a later
// start never gives an earlier end, in any zone and over any change of the clocks. A roll
// never moves an end back, and never past the next working day.
func TestPropertyLimitInAnyZone(t *testing.T) {
	places := []Place{}
	for _, zone := range []string{"Asia/Shanghai", "Europe/Brussels", "Atlantic/Azores", "America/Havana", "Australia/Lord_Howe", "UTC"} {
		places = append(places, place(t, zone))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(places).Draw(t, "place")
		l := Limit{}
		n := rapid.IntRange(1, 60).Draw(t, "n")
		switch rapid.IntRange(0, 3).Draw(t, "unit") {
		case 0:
			l.exact = time.Duration(n) * time.Hour
		case 1:
			l.days = n
		case 2:
			l.month = n
		case 3:
			l.works = n
		}
		start := instant(t, "start")
		later := start.Add(time.Duration(rapid.Int64Range(0, int64(90*24*time.Hour)).Draw(t, "later")))
		end := l.After(start, p)
		require.True(t, end.After(start), "%s from %s: %s", l, start, end)
		require.False(t, l.After(later, p).Before(end), "%s: not monotone from %s and %s", l, start, later)

		noon := timeOfDay(12 * 60)
		l.roll = &noon
		moved := l.After(start, p)
		require.False(t, moved.Before(end), "%s from %s", l, start)
		require.True(t, p.Works(DayOf(moved)) || moved.Equal(end), "%s from %s ends on %s", l, start, moved)
	})
}
