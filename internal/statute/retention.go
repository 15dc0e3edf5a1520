package statute

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// Retention is the line of a pack that defines how long records must be kept.
type Retention struct {
	For        Scope            `json:"for"` // the facilities whose records it speaks of
	Keep       Months           `json:"keep"`
	Citation   string           `json:"citation"`
	Quote      string           `json:"quote"` // the clause in Chinese
	Confidence event.Confidence `json:"confidence"`
	Note       Text             `json:"note"`
}

// Months is a time in calendar months.
type Months int

// ParseMonths reads whole months or years in ISO 8601, such as P6M or P1Y.
func ParseMonths(s string) (Months, error) {
	n, err := calendar.ParseMonths(s)
	return Months(n), err
}

// UnmarshalText reads what ParseMonths reads.
func (m *Months) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMonths(string(text))
	return err
}

// String writes ISO 8601 that ParseMonths reads as the same time.
func (m Months) String() string { return fmt.Sprintf("P%dM", int(m)) }

// Before returns the moment that many calendar months before t, at +08:00. Where its
// month has no such day it is the last day of that month, so that the time between the
// two is never shorter.
func (m Months) Before(t time.Time) time.Time {
	t = t.In(event.Beijing)
	then := t.AddDate(0, -int(m), 0)
	if then.Day() != t.Day() {
		then = then.AddDate(0, 0, -then.Day())
	}
	return then
}

// Retained is a retention in force, with its pack.
type Retained struct {
	Statute *Pack
	Rule    *Retention
}

// Retentions returns the retention of each pack in force at a time that speaks of any of
// the facilities, by statute.
func (s *Set) Retentions(at time.Time, facilities []Facility) (out []Retained) {
	for _, p := range s.InForce(at).packs {
		if r := p.Retention; r != nil && slices.ContainsFunc(facilities, func(f Facility) bool { return r.For.coversFacility(&f) }) {
			out = append(out, Retained{p, r})
		}
	}
	return out
}
