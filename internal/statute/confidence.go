package statute

import "github.com/tocsin-project/tocsin/internal/event"

// hitConfidence returns how sure a criterion that is met is: as its own line, and as what
// it rests on under another pack.
func (r *reading) hitConfidence(c *Criterion) event.Confidence {
	if !c.graded {
		return c.Confidence
	}
	defer func(own event.Grade) { r.own = own }(r.own)
	r.own = r.c.Report.OwnGrade // it meets criteria under a determination, too
	return event.Weakest(c.Confidence, r.restsOn(c.When))
}

// restsOn returns how sure the parts are by which a condition holds. Of parts that would
// each do alone the strongest counts. Facts, and a person's judgement, are as sure as the
// report.
func (r *reading) restsOn(c Condition) event.Confidence {
	switch c := c.(type) {
	case *graded:
		for i, p := range r.set.packs {
			if p.ID == c.statute {
				return r.surest(func(_ int, l *line) bool { return l.pack == i && l.criterion.Grade >= c.from })
			}
		}
	case *some:
		var held []event.Confidence
		for _, part := range c.of {
			if part.verdict(r) == True {
				held = append(held, r.restsOn(part))
			}
		}
		return event.Surest(held, c.n)
	}
	return event.ConfidenceText
}

// surest returns the strongest confidence of the criteria that are met among some.
func (r *reading) surest(among func(int, *line) bool) event.Confidence {
	met := make([]event.Confidence, 0, 8)
	for i := range r.set.lines {
		if l := &r.set.lines[i]; r.covered[i] && r.verdicts[i] == True && among(i, l) {
			met = append(met, r.hitConfidence(l.criterion))
		}
	}
	return event.Surest(met, 1)
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
	met := make([]event.Confidence, 0, 8)
	for _, h := range a.Hits {
		if h.Statute == statute && h.Grade >= from {
			met = append(met, h.Confidence)
		}
	}
	return event.Surest(met, 1)
}
