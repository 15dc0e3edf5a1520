// Package calendar counts days as the law does: in a time zone, and without the days on
// which nobody works.
//
// It is pure, and nothing in it changes once it is read. A calendar ends: which days
// after its last one are free is not known yet, so only weekends are left out there. That
// gives the earlier moment, and Place.Ends says that it happened.
package calendar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // the zones of the packs, on a machine that has none

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/schemas"
)

// Calendar says which days are worked.
type Calendar struct {
	ID       string
	Title    Text
	Source   string // who announced the days
	From     Day    // the first day that it knows
	Until    Day    // the last one
	Weekend  []time.Weekday
	Holidays map[Day]bool // free although they are no weekend
	Workdays map[Day]bool // worked although they are a weekend (调休)

	SHA256 string // of Raw, in hex
	Raw    []byte // as read; must not be changed
}

// Text is a text in Chinese and in English.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

const maxBytes = 1 << 20

// schema is what a calendar may contain.
var schema = sync.OnceValue(func() *document.Schema {
	return document.MustCompile(schemas.Statutes, "calendars/calendar.v1.json", map[string]func(string) error{
		"date": func(s string) error { _, err := ParseDay(s); return err },
	})
})

// Decode reads a calendar strictly. The error is of kind Reject and carries every fault;
// whether the days agree is only looked at when the schema is kept.
func Decode(raw []byte) (*Calendar, error) {
	var in struct {
		ID       string   `json:"id"`
		Title    Text     `json:"title"`
		Source   string   `json:"source"`
		From     Day      `json:"from"`
		Until    Day      `json:"until"`
		Weekend  []string `json:"weekend"`
		Holidays []span   `json:"holidays"`
		Workdays []Day    `json:"workdays"`
	}
	doc := document.Read(raw, maxBytes, schema(), &in)
	if faults := doc.Faults(); faults != nil {
		return nil, fault.Invalid("calendar: decode", faults)
	}
	sum := sha256.Sum256(raw)
	c := &Calendar{
		ID: in.ID, Title: in.Title, Source: in.Source, From: in.From, Until: in.Until,
		SHA256: hex.EncodeToString(sum[:]), Raw: slices.Clone(raw),
		Holidays: map[Day]bool{}, Workdays: map[Day]bool{},
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if slices.Contains(in.Weekend, d.String()) {
			c.Weekend = append(c.Weekend, d)
		}
	}
	if len(c.Weekend) == 7 {
		doc.Fail("$.weekend", "leaves no day to work on")
	}
	if in.Until.Before(in.From) {
		doc.Fail("$.until", "must not come before from")
	}
	for _, s := range in.Holidays {
		if s.last.Before(s.first) || s.last.Sub(s.first) > maxHoliday {
			doc.Fail("$.holidays", "%s to %s is no holiday: the second day comes before the first, or long after it", s.first, s.last)
			continue
		}
		for d := s.first; !s.last.Before(d); d = d.Next() {
			c.Holidays[d] = true
		}
	}
	for _, d := range in.Workdays {
		if c.Holidays[d] {
			doc.Fail("$.workdays", "%s is a holiday as well", d)
		}
		c.Workdays[d] = true
	}
	for _, days := range []map[Day]bool{c.Holidays, c.Workdays} {
		for d := range days {
			if d.Before(c.From) || c.Until.Before(d) {
				doc.Fail("$.until", "%s is outside the days from %s to %s that the calendar knows", d, c.From, c.Until)
			}
		}
	}
	if faults := doc.Faults(); faults != nil {
		return nil, fault.Invalid("calendar: decode", faults)
	}
	return c, nil
}

// maxHoliday is the longest holiday, in days.
const maxHoliday = 31

// Works reports whether a day is worked. Before the first day and after the last that the
// calendar knows only weekends are free.
func (c *Calendar) Works(d Day) bool {
	switch {
	case c.Holidays[d]:
		return false
	case c.Workdays[d]:
		return true
	}
	return !slices.Contains(c.Weekend, d.Weekday())
}

// span is a holiday: one day, or a list of the first and the last.
type span struct{ first, last Day }

// UnmarshalJSON reads "2026-01-01" or ["2026-02-15", "2026-02-23"].
func (s *span) UnmarshalJSON(raw []byte) error {
	if raw[0] != '[' {
		err := json.Unmarshal(raw, &s.first)
		s.last = s.first
		return err
	}
	var ends []Day
	err := json.Unmarshal(raw, &ends)
	if len(ends) == 2 {
		s.first, s.last = ends[0], ends[1]
	}
	return err
}
