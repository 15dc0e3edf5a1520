package statute

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

func limit(t require.TestingT, s string) Limit {
	l, err := ParseLimit(s)
	require.NoError(t, err, s)
	return l
}

func TestLimitReadsDaysOrHours(t *testing.T) {
	for text, want := range map[string]string{
		"P30D": "P30D", "P2W": "P14D", "P1W1D": "P8D", "P1D": "P1D",
		"PT1H": "PT1H", "PT30M": "PT30M", "PT90M": "PT1H30M", "PT24H": "PT24H", "PT36H5S": "PT36H5S", "PT0.5S": "PT0.5S",
	} {
		assert.Equal(t, want, limit(t, text).String(), text)
	}
	for text, part := range map[string]string{
		"P1DT6H": "mixes days", "P1WT1M": "mixes days", "P0DT1H": "mixes days",
		"P1.5D": "only whole days", "P0.5W": "only whole days", "P0D": "no time at all", "PT0S": "no time at all",
		"P1M": "years and months", "P1Y": "years and months", "": "not an ISO 8601", "30 days": "not an ISO 8601", "PT": "not an ISO 8601",
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
		assert.Equal(t, want, limit(t, "P30D").After(at).Format(time.RFC3339Nano), start)
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
		due := l.After(start)
		date := start.In(event.Beijing).Format(time.DateOnly)

		hour, minute, second := due.In(event.Beijing).Clock()
		require.Zero(t, hour+minute+second+due.Nanosecond(), "midnight")
		day, err := time.ParseInLocation(time.DateOnly, date, event.Beijing)
		require.NoError(t, err)
		require.Equal(t, l.After(day), due, "only the date at +08:00 matters")

		n := time.Duration(days) * 24 * time.Hour
		require.Greater(t, due.Sub(start), n)
		require.LessOrEqual(t, due.Sub(start), n+24*time.Hour)
		require.Equal(t, due, l.After(start.UTC()), "the zone does not matter")
		require.Equal(t, l, limit(t, l.String()))
		require.True(t, due.Before(Limit{days: days + 1}.After(start)))

		if other := instant(t, "other"); other.Before(start) {
			require.False(t, l.After(other).After(due), "monotone")
		} else {
			require.False(t, l.After(other).Before(due), "monotone")
		}
	})
}

func TestPropertyLimitInHoursIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.OneOf(rapid.Int64Range(1, int64(100*time.Hour)), rapid.SampledFrom([]int64{int64(time.Hour), int64(24 * time.Hour), int64(90 * time.Minute)})).Draw(t, "length")
		d = max(1, d/1000) * 1000 // ParseDuration reads seconds as a float
		l := Limit{exact: time.Duration(d)}
		start := instant(t, "start")
		require.Equal(t, time.Duration(d), l.After(start).Sub(start))
		require.Equal(t, l.After(start), l.After(start.UTC()))
		require.Equal(t, l, limit(t, l.String()))
	})
}
