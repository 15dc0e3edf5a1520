package statute

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

func TestMonthsBefore(t *testing.T) {
	at := func(s string) time.Time {
		m, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return m
	}
	for _, c := range []struct{ months, now, want string }{
		{"P6M", "2026-11-22T10:00:00+08:00", "2026-05-22T10:00:00+08:00"},
		{"P6M", "2026-08-31T10:00:00+08:00", "2026-02-28T10:00:00+08:00"},
		{"P6M", "2024-08-31T10:00:00+08:00", "2024-02-29T10:00:00+08:00"},
		{"P1Y", "2024-02-29T10:00:00+08:00", "2023-02-28T10:00:00+08:00"},
		{"P6M", "2026-08-31T17:00:00Z", "2026-03-01T01:00:00+08:00"}, // the first of September in Beijing
	} {
		m, err := ParseMonths(c.months)
		require.NoError(t, err)
		require.True(t, at(c.want).Equal(m.Before(at(c.now))), "%s before %s: %s", c.months, c.now, m.Before(at(c.now)))
	}
	for _, wrong := range []string{"", "P6", "6M", "P0M", "P-1M", "P6M1D", "PT6H", "P99999M"} {
		_, err := ParseMonths(wrong)
		require.Error(t, err, wrong)
	}
}

func TestPropertyMonthsBeforeIsNeverLess(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "now"), 0).In(event.Beijing)
		m := Months(rapid.IntRange(1, 60).Draw(r, "months"))
		then := m.Before(now)
		months := (now.Year()-then.Year())*12 + int(now.Month()) - int(then.Month())
		require.Equal(r, int(m), months)
		require.LessOrEqual(r, then.Day(), now.Day())
		if then.Day() != now.Day() {
			require.Equal(r, 1, then.AddDate(0, 0, 1).Day(), "%s is no last day of a month", then)
		}
	})
}

func TestRetentions_OfTheRegionsLawForItsFacilities(t *testing.T) {
	set, err := Load(schemas.Statutes)
	require.NoError(t, err)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	outside, within := Facility{Region: "310000"}, Facility{Region: "650100"}
	require.Empty(t, set.Retentions(now, []Facility{outside}))
	kept := set.Retentions(now, []Facility{outside, within})
	require.Len(t, kept, 1)
	require.Equal(t, Months(6), kept[0].Rule.Keep)
	require.Equal(t, "cn-xj-netsec-2017", kept[0].Statute.ID)
	require.NotEmpty(t, kept[0].Rule.Citation)
	require.Empty(t, set.Retentions(time.Date(2017, 9, 30, 0, 0, 0, 0, event.Beijing), []Facility{within}))
}
