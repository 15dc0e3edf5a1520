package statute

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Possible is a duty that a case would trigger, for one facility, if what is not known of
// it were so.
type Possible struct {
	Statute  *Pack
	Rule     *DutyRule
	Facility Facility
	// Grade is what the case could still reach, and from which the duty would be owed;
	// Ungraded where that is reached.
	Grade event.Grade
	Facts []string // that its condition leaves open
}

// Possible returns the duties that the case, assessed as a, does not trigger at now but
// would if facts that are not known were so, in the order of Owed.
func (s *Set) Possible(c Case, a event.Assessment, now time.Time) []Possible {
	asked := trigger{set: s, c: &c, now: now}
	var out []Possible
	for _, p := range s.packs {
		if !p.basis(&c, now).Applies() {
			continue
		}
		for i := range p.Duties {
			d := &p.Duties[i]
			if d.Manual || !d.For.coversCase(&c) || under(a, p.ID).CouldBe < d.For.Grade {
				continue
			}
			v := asked.verdict(d.When)
			if v == False {
				continue
			}
			var open []string
			if v == Unknown {
				open = asked.r.missing(d.When, nil)
			}
			for _, f := range c.Facilities {
				if !d.For.coversFacility(&f) {
					continue
				}
				of := a
				if asked.isBesideCII(&d.For, f) {
					of = asked.assessOwn(f)
				}
				beyond := under(of, p.ID).Grade < d.For.Grade
				if v == True && !beyond || under(of, p.ID).CouldBe < d.For.Grade {
					continue // it is owed, or cannot be
				}
				one := Possible{Statute: p, Rule: d, Facility: f, Facts: open}
				if beyond {
					one.Grade = d.For.Grade
				}
				out = append(out, one)
			}
		}
	}
	return out
}
