package statute

import (
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Condition is what must hold for a line to apply. Its String is for people.
type Condition interface {
	fmt.Stringer
	verdict(*reading) Verdict
	parts() []Condition
}

// walk visits a condition and all its parts. A nil condition has none.
func walk(c Condition, visit func(Condition)) {
	if c == nil {
		return
	}
	visit(c)
	for _, part := range c.parts() {
		walk(part, visit)
	}
}

// some holds when at least n of its conditions do. "All of" and "any of" are its
// extremes.
type some struct {
	n  int
	of []Condition
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
		case view.computed >= g.from:
			return True
		case view.couldBe >= g.from:
			return Unknown
		default:
			return False
		}
	}
	return Unknown // not in force: it has no verdict
}

// judged holds when the operator's own grade reaches a grade. It is false only where a
// department has judged instead: otherwise a person may still judge so.
type judged struct{ from event.Grade }

func (*judged) parts() []Condition { return nil }

func (j *judged) String() string { return fmt.Sprintf("judged %s or above", j.from) }

func (j *judged) verdict(r *reading) Verdict {
	switch {
	case r.own >= j.from:
		return True
	case r.settled:
		return False
	default:
		return Unknown
	}
}

// condition reads a mapping whose first key gives its kind.
func (n node) condition() Condition {
	switch {
	case n.Has("fact"):
		return n.comparison()
	case n.Has("all"):
		s := &some{}
		n.fields(keys{"all": into(&s.of, listOf(node.condition))})
		s.n = len(s.of)
		return s
	case n.Has("any"):
		s := &some{n: 1}
		n.fields(keys{"any": into(&s.of, listOf(node.condition))})
		return s
	case n.Has("some"):
		s := &some{}
		n.fields(keys{"some": func(n node) {
			var least float64
			n.fields(keys{"atLeast": into(&least, node.number), "of": into(&s.of, listOf(node.condition))}, "atLeast", "of")
			if s.n = int(least); s.n < 1 || s.n > len(s.of) || float64(s.n) != least {
				n.fail("atLeast must be a whole number from 1 to the number of conditions")
			}
		}})
		return s
	case n.Has("graded"):
		g := &graded{}
		n.fields(keys{"graded": func(n node) {
			n.fields(keys{"statute": into(&g.statute, node.id), "from": into(&g.from, node.grade)}, "statute", "from")
		}})
		return g
	case n.Has("judged"):
		j := &judged{}
		n.fields(keys{"judged": func(n node) {
			n.fields(keys{"from": into(&j.from, node.grade)}, "from")
		}})
		return j
	}
	n.fail("want a condition: fact, all, any, some, graded or judged")
	return nil
}
