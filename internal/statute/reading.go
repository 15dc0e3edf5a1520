package statute

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// reading is a case as a set sees it at one moment. It belongs to one call of
// Assess or Owed; at moves it to another moment.
type reading struct {
	set *Set
	c   *Case
	now time.Time
	own event.Grade // what a judgement sees: the operator's own grade, or none
	cii bool        // any facility is CII

	packs    []packReading // as set.packs
	verdicts []Verdict     // as set.lines
	covered  []bool        // as set.lines: the criterion speaks of the case
}

// packReading is what the facts alone say under one pack.
type packReading struct {
	applies           bool
	computed, couldBe event.Grade // Ungraded where no criterion speaks of the case
}

func (s *Set) read(c *Case, now time.Time) *reading {
	flags := make([]bool, len(s.lines))
	r := &reading{
		set: s, c: c, packs: make([]packReading, len(s.packs)),
		verdicts: make([]Verdict, len(s.lines)), covered: flags,
	}
	for i := range c.Facilities {
		r.cii = r.cii || c.Facilities[i].CII
	}
	for i, l := range s.lines {
		if l.criterion.For.coversAny(c) {
			r.covered[i], r.packs[l.pack].applies = true, true
		}
	}
	r.at(now)
	return r
}

func (r *reading) facts() *event.Facts { return &r.c.Report.Facts }

// isCII reports whether an outage of the facility is one of CII. Without a
// facility it is an outage of all of them.
func (r *reading) isCII(facility string) bool {
	if facility == "" {
		return r.cii
	}
	i := slices.IndexFunc(r.c.Facilities, func(f Facility) bool { return f.ID == facility })
	return i >= 0 && r.c.Facilities[i].CII
}

// at finds every verdict for a moment. Criteria that look at the grade under
// another pack come second, when that grade is known.
func (r *reading) at(now time.Time) {
	r.now = now
	for i := range r.packs {
		if p := &r.packs[i]; p.applies {
			p.computed, p.couldBe = event.General, event.General // 一般 is what is left over
		}
	}
	for _, derived := range [...]bool{false, true} {
		for i := range r.set.lines {
			if l := &r.set.lines[i]; l.derived == derived && r.covered[i] {
				r.verdicts[i] = r.decide(l)
			}
		}
	}
	r.own = r.c.Report.OwnGrade
}

// decide asks first what the facts alone say, which is what counts towards the
// computed grade, and only then what a person's judgement adds.
func (r *reading) decide(l *line) Verdict {
	r.own = event.Ungraded
	v := l.criterion.When.verdict(r)
	p := &r.packs[l.pack]
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
	}
	return v
}

// computed returns the gravest grade that the facts alone give.
func (r *reading) computed() event.Grade {
	g := event.General
	for i := range r.packs {
		g = max(g, r.packs[i].computed)
	}
	return g
}

// grade returns the grade under one pack, which the own grade can only raise.
func (r *reading) grade(pack int) event.Grade {
	return max(r.packs[pack].computed, r.c.Report.OwnGrade)
}

// missing appends the facts that leave a condition open, each once.
func (r *reading) missing(c Condition, found []string) []string {
	if c.verdict(r) != Unknown {
		return found
	}
	path := ""
	switch c := c.(type) {
	case *comparison:
		path = c.fact.path
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
