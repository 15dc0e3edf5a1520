package interchange

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// doeMoment is a time as a table gives it. The zero value is an unknown one.
type doeMoment struct {
	day    time.Time     // midnight of the date, as if in UTC; zero when unknown
	clock  time.Duration // since midnight; 24 h and more is the next day
	timed  bool          // the clock is known
	zone   *time.Location
	remark string // an unusual notation, and how it is interpreted

	remarkOnClock bool // the odd cell is that of the time
}

// clockError is an error of a time cell, not of its date cell.
type clockError struct{ error }

func (m doeMoment) known() bool { return !m.day.IsZero() }

// at returns the time, in UTC where the source names no zone.
func (m doeMoment) at() time.Time {
	t := m.day.Add(m.clock)
	if m.zone != nil {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), m.zone)
	}
	return t.UTC()
}

// before compares as far as both are known.
func (m doeMoment) before(o doeMoment) bool {
	if m.timed && o.timed {
		return m.at().Before(o.at())
	}
	return m.day.Before(o.day)
}

// read reads a date cell and its time cell, which is empty where the layout has one cell
// for both. A date without a year is the first such date that is not before the moment
// after.
func (m *doeMoment) read(date, clock string, after doeMoment) error {
	if unknown(date) {
		return nil
	}
	parts, err := parseDOE(date)
	if err != nil {
		return err
	}
	if parts.date == "" {
		return notTime(date)
	}
	if m.day, err = doeDay(parts.date, after.day); err != nil {
		return fmt.Errorf("%q %w", date, err)
	}
	m.clock, m.timed, m.zone, m.remark = parts.clock, parts.timed, parts.zone, parts.remark
	if unknown(clock) {
		// A spreadsheet shows a plain date as its midnight: no time was entered.
		m.timed = m.timed && (m.clock != 0 || clock == "")
		return nil
	}
	own, err := parseDOE(clock)
	if err != nil {
		return clockError{err}
	}
	if own.remark != "" {
		m.remark, m.remarkOnClock = own.remark, true
	}
	if own.date != "" && !excelNoDate[own.date] {
		if day, err := doeDay(own.date, after.day); err != nil || !day.Equal(m.day) {
			return fmt.Errorf("%q and %q name different dates", date, clock)
		}
	}
	if m.timed && m.clock != 0 && own.timed && m.clock != own.clock {
		return fmt.Errorf("%q and %q name different times", date, clock)
	}
	if own.timed {
		m.clock, m.timed = own.clock, true
	}
	if own.zone != nil {
		m.zone = own.zone
	}
	return nil
}

var errNotTime = errors.New("is not a time such as 2021-01-31 22:44:00")

func notTime(cell string) error { return fmt.Errorf("%q %w", cell, errNotTime) }

// excelNoDate are the dates that spreadsheets write before a time alone.
var excelNoDate = map[string]bool{
	"1899-12-30": true, "1899-12-31": true, "1900-01-00": true, "1900-01-01": true,
	"12/30/1899": true, "12/31/1899": true, "1/0/1900": true, "1/0/00": true, "1/1/1900": true,
}

type doeParts struct {
	date   string // everything but the time of day
	clock  time.Duration
	timed  bool
	zone   *time.Location
	remark string
}

var (
	clockForm = regexp.MustCompile(`(?i)(?:^|[ ,T])(\d{1,2})(?::(\d{2})(?::(\d{2})(\.\d{1,9})?)?)? ?(a\.?m\.?|p\.?m\.?|noon|midnight)?` +
		`(?: ?\(?(Z|UTC|GMT|[ECMP][SD]T|AK[SD]T|HST|[+-]\d{2}:?\d{2})\)?)?(?:[ ,]|$)`)
	serialForm   = regexp.MustCompile(`^\d{5,6}(\.\d+)?$`)
	fractionForm = regexp.MustCompile(`^0?\.\d+$|^0$`)
	// vagueClock matches a time of day that is not a clock time.
	vagueClock = regexp.MustCompile(`(?i)^(early |late |mid-?)?(morning|afternoon|evening|night|midnight|day)$`)
)

// zoneHours are the abbreviations of US time zones, in hours from UTC.
var zoneHours = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
	"PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}

// parseDOE parses a cell: text, or the number of days by which a spreadsheet stores a
// time.
func parseDOE(cell string) (p doeParts, err error) {
	switch {
	case serialForm.MatchString(cell):
		days, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return p, notTime(cell)
		}
		whole, part := math.Modf(days)
		p.date = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(whole)).Format(time.DateOnly)
		p.clock, p.timed = dayPart(part), strings.Contains(cell, ".")
		return p, nil
	case fractionForm.MatchString(cell):
		part, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return p, notTime(cell)
		}
		p.clock, p.timed = dayPart(part), true
		return p, nil
	case vagueClock.MatchString(cell):
		return p, nil
	case strings.EqualFold(cell, "noon"):
		p.clock, p.timed = 12*time.Hour, true
		return p, nil
	}
	for at := 0; at < len(cell); {
		m := clockForm.FindStringSubmatchIndex(cell[at:])
		if m == nil {
			break
		}
		for i := range m {
			if m[i] >= 0 {
				m[i] += at
			}
		}
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return cell[m[2*i]:m[2*i+1]]
		}
		if group(2) == "" && group(5) == "" { // a bare number belongs to the date
			at = m[3]
			continue
		}
		if err := p.setClock(group(1), group(2), group(3), group(4), group(5), group(6)); err != nil {
			return p, fmt.Errorf("%q %w", cell, err)
		}
		if hour, _ := strconv.Atoi(group(1)); hour > 12 && group(5) != "" {
			p.remark = fmt.Sprintf("%q counts to 24 and to 12 at once; it is read as %s:%s", cell, group(1), cmp.Or(group(2), "00"))
		}
		p.date = strings.Trim(cell[:m[0]]+" "+cell[m[1]:], " ,")
		return p, nil
	}
	p.date = cell
	return p, nil
}

func (p *doeParts) setClock(hour, minute, second, fraction, half, zone string) error {
	number := func(s string) time.Duration { n, _ := strconv.Atoi(s); return time.Duration(n) }
	h, m, s := number(hour), number(minute), number(second)
	half = strings.ToLower(strings.ReplaceAll(half, ".", ""))
	switch {
	case m > 59 || s > 59 || h > 24 || h == 24 && (m > 0 || s > 0):
		return errNotTime
	case half == "midnight" && h != 12 && h != 0, half == "noon" && h != 12, half == "am" && h > 12, half == "pm" && h == 0:
		return errNotTime
	case half == "am" && h == 12:
		h = 0
	case half == "pm" && h < 12:
		h += 12
	}
	part, _ := strconv.ParseFloat("0"+fraction, 64)
	p.clock = h*time.Hour + m*time.Minute + s*time.Second + time.Duration(part*float64(time.Second))
	p.timed = half != "midnight" // at the beginning of the day or at its end
	if !p.timed {
		p.clock = 0
	}
	if zone != "" {
		offset, ok := zoneHours[strings.ToUpper(zone)]
		offset *= 3600
		if !ok {
			t, err := time.Parse("-0700", strings.ReplaceAll(zone, ":", ""))
			if err != nil {
				return errNotTime
			}
			_, offset = t.Zone()
		}
		p.zone = time.FixedZone(zone, offset)
	}
	return nil
}

// dayPart returns a fraction of a day, rounded to the second: a spreadsheet's numbers are
// not exact.
func dayPart(part float64) time.Duration {
	return time.Duration(math.Round(part*24*3600)) * time.Second
}

var dateForms = []string{
	"2006-01-02", "2006/1/2", "1/2/2006", "1/2/06", "1-2-2006", "2-Jan-2006", "2-Jan-06", "January 2, 2006", "January 2 2006",
	"Jan 2, 2006", "Jan 2 2006", "2 January 2006", "2 Jan 2006",
}

// doeDay reads a date; after determines the year of a date without one.
func doeDay(text string, after time.Time) (time.Time, error) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, text); err == nil {
			if t.Year() < firstYear || t.Year() > lastYear {
				return time.Time{}, fmt.Errorf("must lie between the years %d and %d", firstYear, lastYear)
			}
			return t, nil
		}
	}
	for _, form := range []string{"2-Jan", "January 2", "Jan 2", "Jan-2", "1/2"} {
		if after.IsZero() {
			break
		}
		for year := range 2 {
			t, err := time.Parse(form+" 2006", fmt.Sprintf("%s %d", text, after.Year()+year))
			if err == nil && !t.Before(after) && t.Sub(after) < 183*24*time.Hour {
				return t, nil
			}
		}
	}
	return time.Time{}, errNotTime
}
