package statute

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/sourcetext"
)

// Severity tells whether a finding prevents a pack from being used.
type Severity string

// The severities of findings.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Finding is a problem of a pack that can be applied all the same.
type Finding struct {
	Pack     string   `json:"pack"`
	Path     string   `json:"path"` // criteria/ID, duties/ID, followUps/ID or retention
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
}

// Check reports whether the packs of the set are sound: every line has its source and
// quotes its words, every criterion passes its fixtures, the grades of one indicator
// neither overlap nor leave a gap, and no duty or follow-up depends on something
// impossible.
func (s *Set) Check() []Finding {
	var all []Finding
	for _, p := range s.packs {
		k := &checker{set: s, pack: p, cited: map[string]bool{}}
		for i := range p.Criteria {
			k.criterion(&p.Criteria[i])
		}
		k.indicators()
		for i := range p.Duties {
			k.duty(&p.Duties[i])
		}
		for i := range p.FollowUps {
			f := &p.FollowUps[i]
			k.path = "followUps/" + f.ID
			k.sourced(f.Citation, f.Quote, f.Confidence)
			k.reachable("follow-up", &f.For)
		}
		for _, c := range p.Consequences {
			k.path = "consequences/" + c.ID
			k.sourced(c.Citation, c.Quote, c.Confidence)
		}
		if r := p.Retention; r != nil {
			k.path = "retention"
			k.sourced(r.Citation, r.Quote, r.Confidence)
		}
		k.path = "citationsZh"
		for _, citation := range slices.Sorted(maps.Keys(p.CitationsZH)) {
			if !k.cited[citation] {
				k.note(SeverityWarning, "no line cites %q", citation)
			}
		}
		all = append(all, k.found...)
	}
	return all
}

type checker struct {
	set   *Set
	pack  *Pack
	path  string
	cited map[string]bool // the citations of the lines so far
	found []Finding
}

func (k *checker) note(severity Severity, format string, args ...any) {
	k.found = append(k.found, Finding{k.pack.ID, k.path, severity, fmt.Sprintf(format, args...)})
}

func (k *checker) sourced(citation, quote string, confidence event.Confidence) {
	for _, field := range []struct{ name, value string }{
		{"citation", citation}, {"quote", quote}, {"confidence", string(confidence)},
	} {
		if field.value == "" {
			k.note(SeverityError, "no %s", field.name)
		}
	}
	if !k.cited[citation] && citation != "" && k.pack.CitationsZH[citation] == "" {
		k.note(SeverityWarning, "citationsZh has no %q", citation)
	}
	k.cited[citation] = true
	k.quoted(citation, quote, confidence)
}

func (k *checker) criterion(c *Criterion) {
	k.path = "criteria/" + c.ID
	k.sourced(c.Citation, c.Quote, c.Confidence)
	for _, kind := range c.Kinds {
		k.quoted(c.Citation, kind.Quote, c.Confidence)
	}
	for _, group := range []struct {
		name     string
		fixtures []Fixture
		holds    func(Verdict, []string) bool
	}{
		{"hit", c.Fixtures.Hit, func(v Verdict, _ []string) bool { return v == True }},
		// What a person may still judge is not false while a fact is open; it must then be
		// the only one that this criterion leaves open.
		{"below", c.Fixtures.Below, func(v Verdict, open []string) bool {
			return v == False || (v == Unknown && c.judged && len(open) == 1 && open[0] == ownGrade)
		}},
		{"missing", c.Fixtures.Missing, func(v Verdict, _ []string) bool { return v == Unknown }},
	} {
		if len(group.fixtures) == 0 {
			k.note(SeverityError, "no fixture for %s", group.name)
		}
		for i := range group.fixtures {
			report := &group.fixtures[i].Case.Report
			for _, d := range append(k.set.CheckReport(report.Facts.Named, report.Stages), k.set.CheckAttributes(group.fixtures[i].Case.Operator.Attributes)...) {
				k.note(SeverityError, "fixture %s[%d]: %s %s", group.name, i, d.Path, d.Message)
			}
			v, open, covered := k.set.try(k.pack, c, &group.fixtures[i])
			switch {
			case !covered:
				k.note(SeverityError, "fixture %s[%d] is no case that the criterion speaks of", group.name, i)
			case !group.holds(v, open):
				k.note(SeverityError, "fixture %s[%d] gives %s, open: %v", group.name, i, v, open)
			}
		}
	}
}

// try reads a fixture and returns the verdict of the criterion, the facts that leave it
// open, and whether it applies to the case at all.
func (s *Set) try(p *Pack, c *Criterion, f *Fixture) (v Verdict, open []string, covered bool) {
	at := f.At
	if at.IsZero() {
		at = p.Effective.From
	}
	for i := range f.Case.Facilities {
		f.Case.Facilities[i].Jurisdiction = cmp.Or(f.Case.Facilities[i].Jurisdiction, p.Jurisdiction)
	}
	r := s.InForce(at).read(&f.Case, at)
	for i, l := range r.set.lines {
		if l.criterion == c && r.covered[i] {
			return r.verdicts[i], r.missing(c.When, nil), true
		}
	}
	return Unknown, nil, false
}

func (k *checker) duty(d *DutyRule) {
	k.path = "duties/" + d.ID
	k.sourced(d.Citation, d.Quote, d.Confidence)
	if (d.From.Role == RoleOperator) == (d.Clock == ClockReported) {
		k.note(SeverityError, "clock %s with from %s: departments count from what was reported to them, operators cannot", d.Clock, d.From.Role)
	}
	if d.From == d.To {
		k.note(SeverityError, "%s would tell itself", d.From.Role)
	}
	k.reachable("duty", &d.For)
}

// reachable checks that the grade a line requires can be set at all.
func (k *checker) reachable(what string, s *Scope) {
	if s.Grade == event.Ungraded {
		return
	}
	for _, about := range s.About {
		if !k.grades(about) {
			k.note(SeverityError, "no criterion grades a %s, so the %s never applies to one", about, what)
		}
	}
}

func (k *checker) grades(about event.About) bool {
	for i := range k.pack.Criteria {
		for _, a := range k.pack.Criteria[i].For.About {
			if a == about {
				return true
			}
		}
	}
	return false
}

// quoted compares a quote with the source text of the pack. An interpretation quotes the
// words that it reads; what others report of a text is not compared.
func (k *checker) quoted(citation, quote string, confidence event.Confidence) {
	compared := confidence == event.ConfidenceText || confidence == event.ConfidenceInterpretation
	switch {
	case quote == "" || !compared:
	case k.pack.SourceFile == "":
		if confidence == event.ConfidenceText {
			k.note(SeverityError, "confidence text, but the pack names no sourceFile to compare the quote with: secondary at most")
		}
	case k.pack.text == nil:
		k.note(SeverityError, "%s cannot be read, so the quote cannot be compared with it", k.pack.SourceFile)
	default:
		number := sourcetext.ArticleOf(k.pack.CitationsZH[citation])
		if wrong := k.pack.text.Find(quote, number); wrong != "" {
			k.note(SeverityError, "the quote differs from %s: %s", k.pack.SourceFile, wrong)
		}
	}
}
