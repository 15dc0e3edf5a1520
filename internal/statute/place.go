package statute

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
	"github.com/tocsin-project/tocsin/schemas"
)

// Home is the jurisdiction of packs and facilities that name none.
const Home = "CN"

// ParseZone returns the time zone of an IANA name.
func ParseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || !strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q is not the name of a time zone such as Europe/Brussels", name)
	}
	return zone, nil
}

// locate sets where the pack is law and where it counts days, and checks that a limit
// that needs a calendar has one.
func (p *Pack) locate(doc *document.Document) {
	p.Jurisdiction = cmp.Or(p.Jurisdiction, Home)
	p.zone = event.Beijing
	if zone, err := ParseZone(p.Zone); err == nil {
		p.zone = zone
		p.Effective.move(zone)
	}
	for i := range p.Criteria {
		p.Criteria[i].For.jurisdiction = p.Jurisdiction
	}
	if p.Retention != nil {
		p.Retention.For.jurisdiction = p.Jurisdiction
	}
	p.conditions(func(_ string, c Condition) {
		if e, ok := c.(*earlier); ok {
			e.zone = p.zone
		}
	})
	check := func(path string, l *calendar.Limit) {
		if l != nil && l.NeedsCalendar() && p.Calendar == "" {
			doc.Fail(path, "depends on which days are worked: the pack must name a calendar")
		}
	}
	for i := range p.Duties {
		p.Duties[i].For.jurisdiction = p.Jurisdiction
		check(fmt.Sprintf("$.duties[%d].within", i), p.Duties[i].Within)
		for j := range p.Duties[i].OrEarlier {
			check(fmt.Sprintf("$.duties[%d].orEarlier[%d].within", i, j), &p.Duties[i].OrEarlier[j].Within)
		}
	}
	for i := range p.FollowUps {
		p.FollowUps[i].For.jurisdiction = p.Jurisdiction
		check(fmt.Sprintf("$.followUps[%d].within", i), p.FollowUps[i].Within)
		check(fmt.Sprintf("$.followUps[%d].every", i), p.FollowUps[i].Every)
		for j := range p.FollowUps[i].OrEarlier {
			check(fmt.Sprintf("$.followUps[%d].orEarlier[%d].within", i, j), &p.FollowUps[i].OrEarlier[j].Within)
		}
	}
}

// move makes the same dates those of another zone.
func (e *Effective) move(zone *time.Location) {
	for _, t := range []*time.Time{&e.From, &e.Until} {
		if !t.IsZero() {
			*t = calendar.DayOf(t.In(event.Beijing)).In(zone)
		}
	}
}

// Place returns where a limit of the pack is counted for a facility; nil: for one that has
// neither a zone nor a calendar of its own.
func (p *Pack) Place(f *Facility) calendar.Place {
	if f == nil {
		f = &Facility{}
	}
	place := calendar.Place{Zone: p.zone}
	if f.Zone != nil {
		place.Zone = f.Zone
	}
	if p.Calendar != "" {
		place.Days = p.calendars[cmp.Or(f.Calendar, p.Calendar)]
	}
	return place
}

// readCalendars reads calendars/*.yaml beside the packs, and those of the program that
// have another id.
func readCalendars(packs fs.FS) (map[string]*calendar.Calendar, error) {
	out := make(map[string]*calendar.Calendar)
	for _, fsys := range []fs.FS{packs, schemas.Statutes} {
		names, err := fs.Glob(fsys, "calendars/*.yaml")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			id := strings.TrimSuffix(path.Base(name), ".yaml")
			if out[id] != nil {
				continue
			}
			raw, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, err
			}
			c, err := calendar.Decode(raw)
			if err != nil {
				return nil, fault.InFile(name, err)
			}
			if c.ID != id {
				return nil, fault.New(fault.Reject, "statute: load", "%s: the calendar %q must be in the file calendars/%s.yaml", name, c.ID, c.ID)
			}
			out[id] = c
		}
	}
	return out, nil
}

// giveCalendars gives each pack the calendars, and finds packs whose calendar is missing.
func giveCalendars(files []file, calendars map[string]*calendar.Calendar) {
	for _, f := range files {
		f.pack.calendars = calendars
		if id := f.pack.Calendar; id != "" && calendars[id] == nil {
			f.doc.Fail("$.calendar", "no calendar %q: there are %s", id, strings.Join(slices.Sorted(maps.Keys(calendars)), ", "))
		}
	}
}

// Calendars returns the calendars that the packs can count by, sorted by id; none if no
// pack counts working days.
func (s *Set) Calendars() []*calendar.Calendar {
	i := slices.IndexFunc(s.packs, func(p *Pack) bool { return p.Calendar != "" })
	if i < 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(s.packs[i].calendars), func(a, b *calendar.Calendar) int { return strings.Compare(a.ID, b.ID) })
}

// HasCalendar reports whether a calendar of this id was read with the packs.
func (s *Set) HasCalendar(id string) bool {
	return slices.ContainsFunc(s.packs, func(p *Pack) bool { return p.calendars[id] != nil })
}

// For returns the packs that are law in any of the jurisdictions.
func (s *Set) For(jurisdictions []string) *Set {
	elsewhere := func(p *Pack) bool { return !slices.Contains(jurisdictions, p.Jurisdiction) }
	if !slices.ContainsFunc(s.packs, elsewhere) {
		return s
	}
	return newSet(slices.DeleteFunc(slices.Clone(s.packs), elsewhere))
}
