package statute

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// basis returns why the pack applies to the case at a moment, or why not. A pack applies
// to what was discovered while it was in force, and to what still lasts when it comes into
// force. A discovery in the future counts as now.
func (p *Pack) basis(c *Case, now time.Time) event.Basis {
	in := p.Effective
	if now.Before(in.From) {
		return event.BasisNotYet
	}
	discovered := now
	if at := c.Report.DiscoveredAt; at != nil && at.Before(now) {
		discovered = *at
	}
	switch {
	case !in.Until.IsZero() && !discovered.Before(in.Until):
		return event.BasisNoLonger
	case discovered.Before(in.From) && c.lastsUntil(in.From):
		return event.BasisContinuing
	case discovered.Before(in.From):
		return event.BasisNotYet
	case c.Report.DiscoveredAt == nil:
		return event.BasisUndated
	}
	return event.BasisDiscovered
}

// lastsUntil reports whether a fact of the case that is given with its times had not ended
// before a moment.
func (c *Case) lastsUntil(at time.Time) bool {
	if c.Report.About == event.AboutThreat {
		return false
	}
	lasts := func(t *event.Times) bool { return t.Since != nil && (t.Until == nil || t.Until.After(at)) }
	f := &c.Report.Facts
	return slices.ContainsFunc(f.Outage, func(o event.Outage) bool { return lasts(&o.Times) }) ||
		f.SiteUnreachable != nil && lasts(&f.SiteUnreachable.Times) ||
		f.Defacement != nil && lasts(&f.Defacement.Times)
}

// Law lists the packs that have a line for such a case at its place, by id, and why each
// applies at a moment or does not. It does not depend on which facilities are CII, which
// is confidential.
func (s *Set) Law(c Case, now time.Time) []event.Instrument {
	out := make([]event.Instrument, 0, len(s.packs))
	for _, p := range s.packs {
		if p.speaksOf(&c) {
			out = append(out, event.Instrument{Statute: p.ID, From: p.Effective.From.Format(time.DateOnly), Basis: p.basis(&c, now)})
		}
	}
	return out
}

// speaksOf reports whether a line of the pack covers the case, were any of its facilities
// CII or not. What a person carries out decides nothing here and does not count.
func (p *Pack) speaksOf(c *Case) bool {
	covers := func(s *Scope) bool {
		return s.coversCase(c) && slices.ContainsFunc(c.Facilities, func(f Facility) bool { return s.coversPlace(&f) })
	}
	return slices.ContainsFunc(p.Criteria, func(l Criterion) bool { return covers(&l.For) }) ||
		slices.ContainsFunc(p.Duties, func(l DutyRule) bool { return !l.Manual && covers(&l.For) }) ||
		slices.ContainsFunc(p.FollowUps, func(l FollowUp) bool { return covers(&l.For) })
}

// Applying returns the packs that apply to the case at a moment, by their dates and in its
// jurisdictions, and decide anything.
func (s *Set) Applying(c Case, now time.Time) []*Pack {
	return slices.DeleteFunc(s.Packs(), func(p *Pack) bool { return !p.Decides() || !p.isLawFor(&c) || !p.basis(&c, now).Applies() })
}

// isLawFor reports whether the pack is law where any facility of the case is.
func (p *Pack) isLawFor(c *Case) bool {
	return slices.ContainsFunc(c.Facilities, func(f Facility) bool { return cmp.Or(f.Jurisdiction, Home) == p.Jurisdiction })
}

// Decides reports whether anything follows from the pack without a person.
func (p *Pack) Decides() bool {
	return len(p.Criteria) > 0 || len(p.FollowUps) > 0 || slices.ContainsFunc(p.Duties, func(d DutyRule) bool { return !d.Manual })
}
