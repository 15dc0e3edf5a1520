package statute

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// FollowUp is a line that defines what the obligor owes after the first report: facts
// that the first report may omit (补报), or a report of its own.
type FollowUp struct {
	ID         string
	For        Scope
	When       Condition // nil: whenever the scope covers the case
	Items      []string  // paths of a report's data, each owed until it is known
	Report     string    // ReportFinal, owed until such a report is taken; empty: Items
	Within     *Limit    // nil: promptly, without a number
	Clock      Clock     // empty where Within is nil; reported is the operator's own report
	Remind     []float64 // fractions of the time, ascending; nil: the caller's
	Citation   string
	Quote      string // the words in Chinese
	Confidence event.Confidence
	Note       Text
}

// ReportFinal is the report that closes an incident (处置总结报告).
const ReportFinal = "final"

// OwedFollowUp is a follow-up that a case triggers. The caller knows what was reported,
// and decides which of its items are still owed.
type OwedFollowUp struct {
	Statute *Pack
	Rule    *FollowUp
}

// FollowUps returns every follow-up that the case, assessed as a, triggers at now, by
// statute, then in the order of the pack. As with Owed, only what is certain triggers;
// but the case owes each one once, whichever of its facilities it covers.
func (s *Set) FollowUps(c Case, a event.Assessment, now time.Time) []OwedFollowUp {
	asked := trigger{set: s, c: &c, now: now}
	var owed []OwedFollowUp
	for _, p := range s.packs {
		grade := gradeUnder(a, p.ID)
		for i := range p.FollowUps {
			f := &p.FollowUps[i]
			if asked.covers(&f.For, f.When, grade) && f.For.coversAny(&c) {
				owed = append(owed, OwedFollowUp{Statute: p, Rule: f})
			}
		}
	}
	return owed
}

func (n node) followUp() FollowUp {
	var f FollowUp
	f.For.About = []event.About{event.AboutIncident}
	n.fields(keys{
		"id":         into(&f.ID, node.id),
		"for":        func(n node) { n.scope(&f.For, &f.When) },
		"items":      into(&f.Items, node.items),
		"report":     into(&f.Report, oneOf(ReportFinal)),
		"within":     into(&f.Within, node.within),
		"clock":      into(&f.Clock, oneOf(clocks...)),
		"remind":     into(&f.Remind, node.fractions),
		"citation":   into(&f.Citation, node.text),
		"quote":      into(&f.Quote, node.text),
		"confidence": into(&f.Confidence, readConfidence),
		"note":       into(&f.Note, node.bilingual),
	}, "id")
	if n.Has("items") == n.Has("report") {
		n.fail("want one of items and report: what is owed")
	}
	if n.Has("within") != n.Has("clock") {
		n.fail("within and clock go together: without them it is owed promptly")
	}
	if n.Has("remind") && !n.Has("within") {
		n.fail("remind is a part of a time: it needs within")
	}
	return f
}

// items reads paths of a report's data, without repeats.
func (n node) items() []string { return n.paths("") }

// disclosed reads the items that a duty discloses; "facts" means all of them.
func (n node) disclosed() []string { return n.paths("facts") }

func (n node) paths(besides string) []string {
	list := listOf(func(n node) string {
		s := n.text()
		if s != besides && s != "" && !slices.Contains(event.ReportPaths, s) {
			n.fail("no report has %q: want one of %s", s, strings.Join(event.ReportPaths, ", "))
		}
		return s
	})(n)
	seen := make(map[string]bool)
	for _, s := range list {
		if s != "" && seen[s] {
			n.fail("%q is used twice", s)
		}
		seen[s] = true
	}
	return list
}

// fractions reads fractions of a time, in ascending order.
func (n node) fractions() []float64 {
	last := 0.0
	return listOf(func(n node) float64 {
		f := n.number()
		if !(f > last && f < 1) { // NaN is not a fraction either
			n.fail("want fractions above 0 and below 1, ascending")
		}
		last = f
		return f
	})(n)
}
