package statute

import (
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
)

// hitConfidence returns how sure a criterion that is met is: as its own line, and as what
// it rests on under another pack.
func (r *reading) hitConfidence(c *Criterion) event.Confidence {
	if !c.graded {
		return c.Confidence
	}
	own := r.own
	r.own = r.c.Report.OwnGrade // it meets criteria under a determination, too
	sure := event.Weakest(c.Confidence, r.restsOn(c.When))
	r.own = own
	return sure
}

// restsOn returns how sure the parts are by which a condition holds. Of parts that would
// each do alone the strongest counts. Facts, and a person's judgement, are as sure as the
// report.
func (r *reading) restsOn(c Condition) event.Confidence {
	switch c := c.(type) {
	case *graded:
		for i, p := range r.set.packs {
			if p.ID == c.statute {
				return r.reachConfidence(i, c.from)
			}
		}
	case *some:
		var held []event.Confidence
		for _, part := range c.of {
			if part.verdict(r) == True {
				held = append(held, r.restsOn(part))
			}
		}
		return nthStrongest(held, c.n)
	}
	return event.ConfidenceText
}

// reachConfidence returns how sure the facts reach a grade under a pack: as the strongest
// criterion of that grade or a graver one.
func (r *reading) reachConfidence(pack int, from event.Grade) event.Confidence {
	var met []event.Confidence
	for i, l := range r.set.lines {
		if l.pack == pack && l.criterion.Grade >= from && r.covered[i] && r.verdicts[i] == True {
			met = append(met, r.hitConfidence(l.criterion))
		}
	}
	return nthStrongest(met, 1)
}

// riseConfidence returns how sure a rise to a grade is: as the strongest criterion of that
// grade that is met.
func (r *reading) riseConfidence(to event.Grade) event.Confidence {
	var met []event.Confidence
	for i, l := range r.set.lines {
		if l.criterion.Grade == to && r.covered[i] && r.verdicts[i] == True && (r.over == nil || !r.over[i]) {
			met = append(met, r.hitConfidence(l.criterion))
		}
	}
	return nthStrongest(met, 1)
}

// nthStrongest returns the weakest of the n strongest; text where there are none.
func nthStrongest(list []event.Confidence, n int) event.Confidence {
	if len(list) < n || n < 1 {
		return event.Weakest(list...)
	}
	slices.SortFunc(list, func(a, b event.Confidence) int {
		switch {
		case a == b:
			return 0
		case event.Weakest(a, b) == b:
			return -1
		}
		return 1
	})
	return list[n-1]
}

// gradeConfidence returns how sure it is that a case, assessed as a, reaches a grade under
// a pack: as sure as the strongest hit that reaches it, or as the person who judged so.
func gradeConfidence(c *Case, a event.Assessment, statute string, from event.Grade) event.Confidence {
	judged := c.Report.OwnGrade
	if c.Determined != nil {
		judged = c.Determined.Grade
	}
	if from == event.Ungraded || judged >= from {
		return event.ConfidenceText
	}
	var met []event.Confidence
	for _, h := range a.Hits {
		if h.Statute == statute && h.Grade >= from {
			met = append(met, h.Confidence)
		}
	}
	return nthStrongest(met, 1)
}
