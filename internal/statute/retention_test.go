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

// The law of the whole country keeps records everywhere, that of a region those of its
// facilities.
func TestRetentions_OfTheLawInForceWhereTheFacilityIs(t *testing.T) {
	set, err := Load(schemas.Statutes)
	require.NoError(t, err)
	outside, within, abroad := Facility{Region: "310000"}, Facility{Region: "650100"}, Facility{Jurisdiction: "EU"}
	for _, c := range []struct {
		day        string
		facilities []Facility
		want       []string
	}{
		{"2026-11-22", []Facility{outside}, []string{"cn-csl-2026"}},
		{"2026-11-22", []Facility{outside, within}, []string{"cn-csl-2026", "cn-xj-netsec-2017"}},
		{"2026-11-22", []Facility{abroad}, nil},
		{"2026-01-01", []Facility{outside}, []string{"cn-csl-2026"}},
		{"2025-12-31", []Facility{outside}, []string{"cn-csl-2017"}},
		{"2017-09-30", []Facility{within}, []string{"cn-csl-2017"}},
		{"2017-05-31", []Facility{within}, nil},
	} {
		day, err := parseDate(c.day)
		require.NoError(t, err)
		var got []string
		for _, r := range set.Retentions(day, c.facilities) {
			got = append(got, r.Statute.ID)
			require.Equal(t, Months(6), r.Rule.Keep)
			require.NotEmpty(t, r.Rule.Citation)
		}
		require.Equal(t, c.want, got, "%s %v", c.day, c.facilities)
	}
}
