package statute

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Limit is the time that a line of the law gives.
//
// A limit in hours is exact. A limit in days is counted in calendar days at +08:00: the
// day of the start is not counted, and it runs to 24:00 of the last day, which is 00:00
// of the day after. The Civil Code counts in this way (art. 201: "开始的当日不计入，自下一日开始计算";
// art. 203: "期间的最后一日的截止时间为二十四时"), and its rule is used where an instrument has none of
// its own. Its art. 203 also moves a last day that is a holiday; no pack contains a
// calendar, so it is not moved here: the earlier moment is the safe one.
type Limit struct {
	days  int           // calendar days; 0: exact
	exact time.Duration // where days is 0
}

// ParseLimit reads whole weeks and days, or hours, minutes and seconds, in ISO 8601. No
// rule defines how to count both at once.
func ParseLimit(s string) (Limit, error) {
	d, err := event.ParseDuration(s)
	date, clock, timed := strings.Cut(s, "T")
	switch {
	case err != nil:
		return Limit{}, err
	case timed && date != "P":
		return Limit{}, fmt.Errorf("%q mixes days with T%s: days are calendar days, hours are exact; give one of them", s, clock)
	case d <= 0:
		return Limit{}, fmt.Errorf("%q is no time at all: leave it out for promptly", s)
	case timed:
		return Limit{exact: d}, nil
	case d%(24*time.Hour) != 0:
		return Limit{}, fmt.Errorf("%q: only whole days can be counted", s)
	}
	return Limit{days: int(d / (24 * time.Hour))}, nil
}

// UnmarshalText reads what ParseLimit reads.
func (l *Limit) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLimit(string(text))
	return err
}

// After returns the moment, at +08:00, at which the limit ends when it starts at t.
func (l Limit) After(t time.Time) time.Time {
	t = t.In(event.Beijing)
	if l.days == 0 {
		return t.Add(l.exact)
	}
	y, m, d := t.Date()
	return time.Date(y, m, d+l.days+1, 0, 0, 0, 0, event.Beijing)
}

// String writes ISO 8601 that ParseLimit reads as the same limit: 36 hours are PT36H,
// never a day and a half.
func (l Limit) String() string {
	if l.days > 0 {
		return fmt.Sprintf("P%dD", l.days)
	}
	hours, rest := l.exact/time.Hour, l.exact%time.Hour
	switch {
	case hours == 0:
		return event.FormatDuration(rest)
	case rest == 0:
		return fmt.Sprintf("PT%dH", hours)
	default:
		return fmt.Sprintf("PT%dH%s", hours, strings.TrimPrefix(event.FormatDuration(rest), "PT"))
	}
}
