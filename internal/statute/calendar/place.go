package calendar

import "time"

// Place is where days are counted.
type Place struct {
	Zone *time.Location
	Days *Calendar // nil: every day is worked
}

// EndOf returns the end of a day, which is the first moment of the next.
func (p Place) EndOf(d Day) time.Time { return d.Next().In(p.Zone) }

// Works reports whether a day is worked.
func (p Place) Works(d Day) bool { return p.Days == nil || p.Days.Works(d) }

// WorkingDay returns the nth working day after a day.
func (p Place) WorkingDay(n int, after Day) Day {
	for n > 0 {
		if after = after.Next(); p.Works(after) {
			n--
		}
	}
	return after
}

// Ends returns the last day that the calendar knows, if a moment lies after it; otherwise
// it returns "".
func (p Place) Ends(at time.Time) string {
	if p.Days == nil || !at.After(p.EndOf(p.Days.Until)) {
		return ""
	}
	return p.Days.Until.String()
}
