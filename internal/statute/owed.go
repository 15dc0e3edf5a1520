package statute

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Owed is a duty that a case triggers, for one facility, before the register resolves the
// desk.
type Owed struct {
	Statute    *Pack
	Rule       *DutyRule
	Facility   *Facility
	Confidence event.Confidence // the weakest of what the duty rests on
}

// Owed returns every duty that the case, assessed as a, triggers at now: by statute, then
// in the order of the pack, then by facility. Only what is certain triggers: an unknown
// condition does not, nor a grade that is only possible. Duties whose recipients a person
// chooses are left out.
func (s *Set) Owed(c Case, a event.Assessment, now time.Time) []Owed {
	asked := trigger{set: s, c: &c, now: now}
	var owed []Owed
	for _, p := range s.packs {
		if !p.basis(&c, now).Applies() {
			continue
		}
		grade := under(a, p.ID).Grade
		for i := range p.Duties {
			d := &p.Duties[i]
			if d.Manual || !asked.covers(&d.For, d.When, grade) {
				continue
			}
			sure := event.Weakest(d.Confidence, asked.confidence(d.When), gradeConfidence(&c, a, p.ID, d.For.Grade))
			for j := range c.Facilities {
				if f := &c.Facilities[j]; d.For.coversFacility(f) && asked.reachesOwn(p, &d.For, *f) {
					owed = append(owed, Owed{Statute: p, Rule: d, Facility: f, Confidence: sure})
				}
			}
		}
	}
	return owed
}

// trigger finds the lines that apply to a case. It reads the case only when a line has a
// condition.
type trigger struct {
	set *Set
	c   *Case
	now time.Time
	r   *reading
	own map[string]event.Assessment // of facilities that are named beside CII
}

// covers reports whether a line applies to the case, for any facility, at its grade under
// the line's pack, and whether its condition is certain.
func (t *trigger) covers(s *Scope, when Condition, grade event.Grade) bool {
	if !s.coversCase(t.c) || s.Grade > grade {
		return false
	}
	return t.verdict(when) == True
}

// verdict returns whether the condition of a line holds; one without a condition does.
func (t *trigger) verdict(when Condition) Verdict {
	if when == nil {
		return True
	}
	if t.r == nil {
		t.r = t.set.read(t.c, t.now)
	}
	return when.verdict(t.r)
}

// confidence returns how sure a line's condition is, which holds.
func (t *trigger) confidence(when Condition) event.Confidence {
	if when == nil {
		return event.ConfidenceText
	}
	return t.r.restsOn(when)
}

// reachesOwn reports whether a facility that is named beside CII has an incident of its own
// of the grade, where the scope asks for one.
func (t *trigger) reachesOwn(p *Pack, s *Scope, f Facility) bool {
	return !t.isBesideCII(s, f) || under(t.assessOwn(f), p.ID).Grade >= s.Grade
}

// isBesideCII reports whether only an incident of the facility's own counts.
func (t *trigger) isBesideCII(s *Scope, f Facility) bool {
	return s.OwnIncident && !f.CII && slices.ContainsFunc(t.c.Facilities, func(f Facility) bool { return f.CII })
}

func (t *trigger) assessOwn(f Facility) event.Assessment {
	if t.own == nil {
		t.own = map[string]event.Assessment{}
	}
	a, known := t.own[f.ID]
	if !known {
		a = t.set.Assess(t.c.ownOf(f), t.now)
		t.own[f.ID] = a
	}
	return a
}

// under returns the grade under a statute; none where it does not grade such a case, so
// that only its duties without a grade remain.
func under(a event.Assessment, statute string) (sg event.StatuteGrade) {
	if i := slices.IndexFunc(a.Statutes, func(sg event.StatuteGrade) bool { return sg.Statute == statute }); i >= 0 {
		sg = a.Statutes[i]
	}
	return sg
}

// CanFallOn reports whether the duty can ever apply to an operator for a facility,
// whatever the incident.
func (d *DutyRule) CanFallOn(o Operator, f Facility) bool {
	return d.For.coversFacility(&f) && (d.For.Central == nil || *d.For.Central == o.Central)
}
