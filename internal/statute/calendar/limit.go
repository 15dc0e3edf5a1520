package calendar

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Limit is the time that a line of the law gives.
//
// A limit in hours is exact. Days, months and working days are counted in the zone of a
// place: the day of the start is not counted, and the limit runs to 24:00 of its last
// day, which is 00:00 of the day after. The last day of a limit in months is the day of
// the same number, or the last one of its month. The Civil Code counts in this way (art.
// 201: "开始的当日不计入，自下一日开始计算"; art. 202: "到期月的对应日为期间的最后一日"; art. 203: "期间的最后一日的截止时间为二十四时"), and
// so does Regulation 1182/71 of the European Union; an instrument without a rule of its
// own is counted so too. Where a limit that ends on a day off moves, its pack says so;
// otherwise it is not moved: the earlier moment is the safe one.
type Limit struct {
	exact time.Duration // hours, minutes and seconds; one of the four is not zero
	days  int           // calendar days
	month int           // calendar months
	works int           // working days
	roll  *timeOfDay    // when it ends on the next working day, if its own is not worked
}

// timeOfDay is a time on the clock in minutes, at most 24:00.
type timeOfDay int

// ParseLimit reads whole months or years, whole weeks and days, or hours, minutes and
// seconds, in ISO 8601. No rule defines how to count two of these at once.
func ParseLimit(s string) (Limit, error) {
	if m, err := ParseMonths(s); err == nil {
		return Limit{month: m}, nil
	}
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

// UnmarshalJSON reads what ParseLimit reads, or the same as the time of a mapping that
// may count working days instead and may have a roll.
func (l *Limit) UnmarshalJSON(raw []byte) (err error) {
	in := struct {
		Time        string `json:"time"`
		WorkingDays int    `json:"workingDays"`
		Roll        string `json:"roll"`
	}{}
	if raw[0] == '"' {
		err = json.Unmarshal(raw, &in.Time)
	} else {
		err = json.Unmarshal(raw, &in)
	}
	if err == nil && in.Time != "" {
		*l, err = ParseLimit(in.Time)
	}
	if err != nil {
		return err
	}
	l.works = in.WorkingDays
	if in.Roll != "" {
		at, err := ParseTimeOfDay(in.Roll)
		l.roll = &at
		return err
	}
	return nil
}

// ParseTimeOfDay reads a time on the clock, such as 12:00; 24:00 is the end of the day.
func ParseTimeOfDay(s string) (timeOfDay, error) {
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("12:00") {
		return 0, fmt.Errorf("%q is not a time of day such as 12:00", s)
	}
	return timeOfDay(t.Hour()*60 + t.Minute()), nil
}

func (t timeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t/60, t%60) }

// on returns the moment at this time of a day.
func (t timeOfDay) on(d Day, p Place) time.Time {
	if t == 24*60 {
		return p.EndOf(d)
	}
	return time.Date(d.Year, d.Month, d.Day, int(t/60), int(t%60), 0, 0, p.Zone)
}

// After returns when the limit ends, in the zone of the place, if it starts at t.
func (l Limit) After(t time.Time, p Place) time.Time {
	end, last := t.Add(l.exact).In(p.Zone), DayOf(t.In(p.Zone))
	switch {
	case l.exact > 0:
		last = DayOf(end)
	case l.works > 0:
		last = p.WorkingDay(l.works, last)
	case l.month > 0:
		last = last.AddMonths(l.month)
	default:
		last = last.Add(l.days)
	}
	switch {
	case l.roll != nil && !p.Works(last):
		return l.roll.on(p.WorkingDay(1, last), p)
	case l.exact > 0:
		return end
	}
	return p.EndOf(last)
}

// IsExact reports whether the limit is the same at every place.
func (l Limit) IsExact() bool { return l.exact > 0 && l.roll == nil }

// NeedsCalendar reports whether the limit depends on which days are worked.
func (l Limit) NeedsCalendar() bool { return l.works > 0 || l.roll != nil }

// String writes ISO 8601 that ParseLimit reads as the same limit: 36 hours are PT36H,
// never a day and a half. Working days and a roll, which ISO 8601 does not know, are
// written in words.
func (l Limit) String() string {
	text := l.length()
	if l.roll != nil {
		text += fmt.Sprintf(", on a day off until %s of the next working day", l.roll)
	}
	return text
}

func (l Limit) length() string {
	switch {
	case l.works > 0:
		return fmt.Sprintf("%d working days", l.works)
	case l.month > 0:
		return fmt.Sprintf("P%dM", l.month)
	case l.days > 0:
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

var monthsPattern = regexp.MustCompile(`^P([0-9]{1,4})([MY])$`)

// ParseMonths reads whole months or years in ISO 8601, such as P6M or P1Y.
func ParseMonths(s string) (int, error) {
	m := monthsPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a number of months or years, such as P6M or P1Y", s)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no time at all", s)
	}
	if m[2] == "Y" {
		n *= 12
	}
	return n, nil
}

// CalendarEnds returns the last day that the calendar of a limit knows, if the limit ends
// after it: a holiday that is announced later may move the end. Otherwise it returns "".
func (l *Limit) CalendarEnds(end *time.Time, p Place) string {
	if l == nil || end == nil || !l.NeedsCalendar() {
		return ""
	}
	return p.Ends(*end)
}
