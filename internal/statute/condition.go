package statute

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// Condition is what must hold for a line to apply. Its String is for people.
type Condition interface {
	fmt.Stringer
	verdict(*reading) Verdict
	parts() []Condition
}

// walk visits a condition and all its parts. A nil condition has none.
func walk(c Condition, visit func(Condition)) {
	walkPaths("", c, func(_ string, part Condition) { visit(part) })
}

// walkPaths is walk with the path of each part, which begins with that of the whole.
func walkPaths(path string, c Condition, visit func(path string, c Condition)) {
	if c == nil {
		return
	}
	visit(path, c)
	if list, ok := c.(*some); ok {
		for i, part := range list.of {
			walkPaths(fmt.Sprintf("%s.%s[%d]", path, list.key, i), part, visit)
		}
	}
}

// some holds when at least n of its conditions do. "All of" and "any of" are its
// extremes.
type some struct {
	n   int
	of  []Condition
	key string // under which a pack has the list: all, any or some.of
}

func (s *some) parts() []Condition { return s.of }

func (s *some) verdict(r *reading) Verdict {
	held, open := 0, 0
	for i, c := range s.of {
		switch c.verdict(r) {
		case True:
			held++
		case Unknown:
			open++
		}
		if held >= s.n {
			return True
		}
		if held+open+len(s.of)-i-1 < s.n {
			return False
		}
	}
	return Unknown
}

func (s *some) String() string {
	words := make([]string, len(s.of))
	for i, c := range s.of {
		words[i] = c.String()
	}
	list := "(" + strings.Join(words, "; ") + ")"
	switch s.n {
	case len(s.of):
		return "all of " + list
	case 1:
		return "any of " + list
	default:
		return fmt.Sprintf("at least %d of %s", s.n, list)
	}
}

// graded holds when the facts of the case alone reach a grade under another statute. It
// adds no missing facts of its own: that statute lists them.
type graded struct {
	statute string
	from    event.Grade
}

func (*graded) parts() []Condition { return nil }

func (g *graded) String() string {
	return fmt.Sprintf("graded %s or above under %s", g.from, g.statute)
}

func (g *graded) verdict(r *reading) Verdict {
	for i, p := range r.set.packs {
		if p.ID != g.statute {
			continue
		}
		switch view := &r.packs[i]; {
		case !view.inForce:
			return Unknown // it has no verdict
		case view.computed >= g.from:
			return True
		case view.couldBe >= g.from:
			return Unknown
		default:
			return False
		}
	}
	return Unknown // not in this set: it has no verdict
}

// judged holds when the operator's own grade reaches a grade. It is open while nobody has
// judged, unless the facts say it all: where every criterion of that grade is about facts,
// and all of them are denied, a judgement has nothing left to decide.
type judged struct{ from event.Grade }

func (*judged) parts() []Condition { return nil }

func (j *judged) String() string { return fmt.Sprintf("judged %s or above", j.from) }

func (j *judged) verdict(r *reading) Verdict {
	switch {
	case r.own >= j.from:
		return True
	case r.settled:
		return False
	}
	if given := r.c.Report.OwnGrade; given != event.Ungraded {
		return min(verdictOf(given >= j.from), Unknown) // what the operator judges counts later
	}
	return min(verdictOf(!r.denied(j.from)), Unknown)
}

// condition decodes a Condition. What the schema refused has been left out, and gives a
// nil one.
type condition struct{ Condition }

func (c *condition) UnmarshalJSON(raw []byte) (err error) {
	var in struct {
		comparisonJSON
		All  conditions `json:"all"`
		Any  conditions `json:"any"`
		Some *struct {
			AtLeast int        `json:"atLeast"`
			Of      conditions `json:"of"`
		} `json:"some"`
		Graded *struct {
			Statute string      `json:"statute"`
			From    event.Grade `json:"from"`
		} `json:"graded"`
		Judged *struct {
			From event.Grade `json:"from"`
		} `json:"judged"`
		Earlier *struct {
			Within  calendar.Limit `json:"within"`
			AtLeast int            `json:"atLeast"`
		} `json:"earlier"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	switch {
	case in.Fact != "":
		c.Condition, err = in.comparison()
	case in.All != nil:
		c.Condition = &some{len(in.All), in.All, "all"}
	case in.Any != nil:
		c.Condition = &some{1, in.Any, "any"}
	case in.Some != nil:
		c.Condition = &some{in.Some.AtLeast, in.Some.Of, "some.of"}
	case in.Graded != nil:
		c.Condition = &graded{in.Graded.Statute, in.Graded.From}
	case in.Judged != nil:
		c.Condition = &judged{in.Judged.From}
	case in.Earlier != nil:
		c.Condition = &earlier{within: in.Earlier.Within, atLeast: in.Earlier.AtLeast, zone: event.Beijing}
	}
	return err
}

type conditions []Condition

func (c *conditions) UnmarshalJSON(raw []byte) error {
	var list []condition
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	for _, one := range list {
		*c = append(*c, one.Condition)
	}
	return nil
}
