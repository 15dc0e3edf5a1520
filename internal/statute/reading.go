package statute

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// reading is a set's view of a case at one moment. It belongs to one call of Assess or
// Owed; at moves it to a later moment.
type reading struct {
	set *Set
	c   *Case
	now time.Time
	own event.Grade // the operator's own grade, as judged conditions see it, or none
	cii bool        // any facility is CII
	// settled is true when a department has judged, so that the operator's judgement adds
	// nothing.
	settled bool
	floor   event.Grade // set by a person: the department, or else the operator

	packs    []packReading // as set.packs
	measured event.Grade   // the gravest grade that a criterion about facts alone could give
	undenied event.Grade   // the gravest that the facts do not deny
	waiting  bool          // a pack is not in force yet, and may come into force while the case lasts
	verdicts []Verdict     // in the order of set.lines
	covered  []bool        // in the order of set.lines: the criterion applies to the case
	over     []bool        // in the order of set.lines: a determination covers it; nil without one
}

// packReading is the grade under one pack. All are Ungraded where no criterion applies to
// the case.
type packReading struct {
	inForce  bool        // for the case, by the pack's dates
	fresh    bool        // since the last moment
	applies  bool        // it is in force, and a criterion covers the case
	computed event.Grade // by the facts alone
	couldBe  event.Grade // by the known facts and the missing ones
	reached  event.Grade // with the operator's judgement, or the department's in its place
}

func (s *Set) read(c *Case, now time.Time) *reading {
	r := &reading{
		set: s, c: c, packs: make([]packReading, len(s.packs)),
		verdicts: make([]Verdict, len(s.lines)), covered: make([]bool, len(s.lines)),
	}
	r.floor = max(event.General, c.Report.OwnGrade) // 一般 is the grade of everything else
	if c.Determined != nil {
		r.floor, r.over = max(event.General, c.Determined.Grade), s.judged(c.Determined)
	}
	for i := range c.Facilities {
		r.cii = r.cii || c.Facilities[i].CII
	}
	r.comeIntoForce(now)
	r.at(now, func(*line) bool { return true })
	return r
}

// comeIntoForce covers the lines of the packs that are in force for the case at a moment
// and were not before. It reports whether there are any.
func (r *reading) comeIntoForce(now time.Time) bool {
	any := false
	r.waiting = false
	for i, p := range r.set.packs {
		view := &r.packs[i]
		view.fresh = !view.inForce && p.basis(r.c, now).Applies()
		view.inForce = view.inForce || view.fresh
		any = any || view.fresh
		r.waiting = r.waiting || !view.inForce && now.Before(p.Effective.From) && r.c.lastsUntil(p.Effective.From)
	}
	if !any {
		return false
	}
	for i := range r.set.lines {
		l := &r.set.lines[i]
		if view := &r.packs[l.pack]; view.fresh && l.criterion.For.coversAny(r.c) {
			r.covered[i] = true
			view.applies, view.computed, view.couldBe, view.reached = true, event.General, event.General, r.floor
		}
	}
	return true
}

// judged marks the lines that a determination covers.
func (s *Set) judged(d *Determination) []bool {
	over := make([]bool, len(s.lines))
	for i, l := range s.lines {
		over[i] = slices.Contains(d.Over, s.packs[l.pack].ID+"/"+l.criterion.ID)
	}
	return over
}

func (r *reading) facts() *event.Facts { return &r.c.Report.Facts }

// isCII reports whether an outage of the facility is one of CII. An outage without a
// facility affects all of them.
func (r *reading) isCII(facility string) bool {
	if facility == "" {
		return r.cii
	}
	i := slices.IndexFunc(r.c.Facilities, func(f Facility) bool { return f.ID == facility })
	return i >= 0 && r.c.Facilities[i].CII
}

// at updates the verdicts of the selected lines for a moment that is not before the last
// one. Time only raises: what is met stays met. Criteria about facts alone come first,
// since a judgement depends on what they leave open, and those that depend on the grade
// under another pack last, when that grade is known.
func (r *reading) at(now time.Time, asked func(*line) bool) {
	if r.now = now; r.waiting && r.comeIntoForce(now) {
		asked = func(*line) bool { return true }
	}
	for stage, lines := range r.set.stages {
		for _, i := range lines {
			l := &r.set.lines[i]
			if !r.covered[i] {
				continue
			}
			if asked(l) {
				r.verdicts[i] = r.decide(i)
			}
			if stage == stageFacts {
				r.measured = max(r.measured, l.criterion.Grade)
				if r.verdicts[i] != False {
					r.undenied = max(r.undenied, l.criterion.Grade)
				}
			}
		}
	}
	r.own, r.settled = r.c.Report.OwnGrade, false
	if r.c.Determined != nil {
		r.own, r.settled = event.Ungraded, true
	}
}

// denied reports whether the facts alone could give the grade or a graver one, and deny it.
func (r *reading) denied(from event.Grade) bool { return r.measured >= from && r.undenied < from }

// decide first evaluates the facts alone, which count towards the computed grade, and
// only then a person's judgement. Under a determination the operator's judgement still
// meets criteria, which are listed, but raises nothing.
func (r *reading) decide(i int) Verdict {
	l := &r.set.lines[i]
	r.own, r.settled = event.Ungraded, false
	v := l.criterion.When.verdict(r)
	p := &r.packs[l.pack]
	counts := v == True && (r.over == nil || !r.over[i])
	switch v {
	case True:
		p.computed = max(p.computed, l.criterion.Grade)
		fallthrough
	case Unknown:
		p.couldBe = max(p.couldBe, l.criterion.Grade)
	}
	if own := r.c.Report.OwnGrade; v == Unknown && l.criterion.judged && own != event.Ungraded {
		r.own = own
		v = l.criterion.When.verdict(r)
		counts = v == True && r.over == nil
	}
	if counts {
		p.reached = max(p.reached, l.criterion.Grade)
	}
	return v
}

// open returns the verdict of a line as to whether the grade could still reach it:
// nothing that a determination covers is open.
func (r *reading) open(i int) Verdict {
	switch {
	case r.over == nil:
		return r.verdicts[i]
	case r.over[i]:
		return False
	default:
		return r.set.lines[i].criterion.When.verdict(r)
	}
}

// grades returns the gravest grades by the facts alone, and with a person's judgement.
func (r *reading) grades() (computed, reached event.Grade) {
	computed, reached = event.General, r.floor
	for i := range r.packs {
		computed, reached = max(computed, r.packs[i].computed), max(reached, r.packs[i].reached)
	}
	return computed, reached
}

// missing appends the facts that leave a condition open, without repeats.
func (r *reading) missing(c Condition, found []string) []string {
	if c.verdict(r) != Unknown {
		return found
	}
	path := ""
	switch c := c.(type) {
	case *comparison:
		path = c.lacks(r)
	case *earlier:
		path = "earlier"
	case *judged:
		path = ownGrade
	}
	if path != "" && !slices.Contains(found, path) {
		found = append(found, path)
	}
	for _, part := range c.parts() {
		found = r.missing(part, found)
	}
	return found
}
