package statute

import (
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// ownGrade is the path of the operator's own grade in a report.
const ownGrade = "ownGrade"

// Assess applies the law to a case at a moment: the grade under every pack that applies,
// every criterion met, every fact that is missing for a graver grade, and when time alone
// next raises the grade. A department's determination is used until a criterion is met
// that it did not judge. Packs count only while they apply to the case by their dates.
func (s *Set) Assess(c Case, now time.Time) event.Assessment {
	r := s.read(&c, now)
	computed, grade := r.grades()
	a := event.Assessment{
		Grade:    grade,
		CouldBe:  grade,
		Statutes: make([]event.StatuteGrade, 0, len(s.packs)),
		Hits:     []event.Hit{},
	}
	if own := c.Report.OwnGrade; own != event.Ungraded && own != computed {
		a.Own = &event.OwnGrade{Grade: own, Computed: computed, Raised: own > computed && c.Determined == nil}
	}
	open := r.list(&a)
	a.CouldBeIf = event.CouldBeIf(a.Unknown)
	for i, p := range s.packs {
		if view := &r.packs[i]; view.applies {
			couldBe := max(view.reached, open[i])
			a.Statutes = append(a.Statutes, event.StatuteGrade{
				Statute: p.ID, Grade: view.reached, Computed: view.computed, CouldBe: couldBe,
			})
			a.CouldBe = max(a.CouldBe, couldBe)
		}
	}
	a.Next = r.next(a.Grade)
	return a
}

// list adds the hits and the missing facts to a, the gravest first. It returns the
// gravest grade that is still open under each pack.
func (r *reading) list(a *event.Assessment) []event.Grade {
	open := make([]event.Grade, len(r.packs))
	a.Unknown = make([]event.Unknown, 0, len(r.set.lines))
	var buffer [8]string
	for i, l := range r.set.lines {
		if !r.covered[i] {
			continue
		}
		c, statute := l.criterion, r.set.packs[l.pack].ID
		if r.verdicts[i] == True {
			a.Hits = append(a.Hits, event.Hit{
				Statute: statute, Criterion: c.ID, Grade: c.Grade,
				Citation: c.Citation, Quote: c.Quote, Confidence: r.hitConfidence(c), Kinds: r.kinds(c),
			})
		}
		if c.Grade > r.packs[l.pack].reached && r.open(i) == Unknown {
			open[l.pack] = max(open[l.pack], c.Grade)
			for _, fact := range r.missing(c.When, buffer[:0]) {
				a.Unknown = append(a.Unknown, event.Unknown{Fact: fact, Statute: statute, Criterion: c.ID, Grade: c.Grade})
			}
		}
	}
	return open
}

// kinds lists the kinds of a criterion that the facts show.
func (r *reading) kinds(c *Criterion) (out []event.IncidentKind) {
	for _, k := range c.Kinds {
		if k.When.verdict(r) == True {
			out = append(out, event.IncidentKind{ID: k.ID, Quote: k.Quote})
		}
	}
	return out
}

// next finds the first moment after now at which time alone raises the grade. It leaves r
// at a later moment.
func (r *reading) next(grade event.Grade) *event.Next {
	if grade == event.EspeciallyGrave {
		return nil
	}
	for _, at := range r.moments() {
		r.at(at, func(l *line) bool { return l.timed })
		if _, g := r.grades(); g > grade {
			sure := r.surest(func(i int, l *line) bool { return l.criterion.Grade == g && (r.over == nil || !r.over[i]) })
			return &event.Next{At: at, Grade: g, Confidence: sure}
		}
	}
	return nil
}

// moments returns the moments after now, in order, at which something that lasts reaches
// a limit, or a pack comes into force for it.
func (r *reading) moments() []time.Time {
	var moments []time.Time
	if r.waiting {
		for _, p := range r.set.packs {
			if from := p.Effective.From; from.After(r.now) && r.c.lastsUntil(from) {
				moments = append(moments, from)
			}
		}
	}
	for _, rise := range r.set.rises {
		rise.comparison.fact.each(rise.comparison, r, func(t event.Times) {
			if _, _, growing := t.Elapsed(r.now); !growing {
				return
			}
			if at := t.Since.Add(rise.after); at.After(r.now) {
				moments = append(moments, at)
			}
		})
	}
	slices.SortFunc(moments, time.Time.Compare)
	return slices.CompactFunc(moments, time.Time.Equal)
}
