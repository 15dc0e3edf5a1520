package calendar

import (
	"fmt"
	"time"
)

// Day is a date of the calendar, without a zone.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDay reads a date such as 2026-02-15.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Day{}, fmt.Errorf("%q is not a calendar date such as 2025-11-01", s)
	}
	return DayOf(t), nil
}

// DayOf returns the date of a moment in the moment's own zone.
func DayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day{y, m, d}
}

// noon is a moment of the day by which days can be counted without a zone.
func (d Day) noon() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

// Add returns the day n days later.
func (d Day) Add(n int) Day { return DayOf(d.noon().AddDate(0, 0, n)) }

// Next returns the next day.
func (d Day) Next() Day { return d.Add(1) }

// AddMonths returns the same day n months later, or the last day of that month if it has
// no such day.
func (d Day) AddMonths(n int) Day {
	first := time.Date(d.Year, d.Month+time.Month(n), 1, 12, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1)
	return Day{first.Year(), first.Month(), min(d.Day, last.Day())}
}

// Sub returns how many days lie between two days.
func (d Day) Sub(other Day) int { return int(d.noon().Sub(other.noon()) / (24 * time.Hour)) }

// Before reports whether d comes before other.
func (d Day) Before(other Day) bool { return d.noon().Before(other.noon()) }

// Weekday returns the day of the week.
func (d Day) Weekday() time.Weekday { return d.noon().Weekday() }

func (d Day) String() string { return d.noon().Format(time.DateOnly) }

// MarshalText writes 2026-02-15.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDay reads.
func (d *Day) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDay(string(text))
	return err
}

// In returns the first moment of the day in a zone. Where the clocks leave out midnight
// that is the moment of their change; where midnight comes twice it is the first.
func (d Day) In(zone *time.Location) time.Time {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
	start, end := t.ZoneBounds()
	if DayOf(t).Before(d) {
		return end // midnight was left out, and t is as long before it
	}
	_, offset := t.Zone()
	_, before := start.Add(-1).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(start) && DayOf(first) == d {
		return first
	}
	if DayOf(start) == d {
		return start
	}
	return t
}
