package statute

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Decode reads one pack. Unknown and duplicate keys, wrong types and trailing
// documents are faults; the error is of kind Reject and carries all of them.
// References to other packs are resolved by Load.
func Decode(raw []byte) (*Pack, error) {
	var faults []fault.Detail
	p := decode(raw, &faults)
	if faults != nil {
		return nil, fault.Invalid("statute: decode", faults)
	}
	return p, nil
}

func decode(raw []byte, faults *[]fault.Detail) *Pack {
	sum := sha256.Sum256(raw)
	p := &Pack{Raw: bytes.Clone(raw), SHA256: hex.EncodeToString(sum[:])}
	root, ok := document.Parse(raw, maxPackBytes, faults)
	if !ok {
		return p
	}
	n := node{root}
	n.fields(keys{
		"id":        into(&p.ID, node.id),
		"title":     into(&p.Title, node.bilingual),
		"source":    into(&p.Source, node.text),
		"rank":      into(&p.Rank, node.bilingual),
		"effective": into(&p.Effective, node.effective),
		"note":      into(&p.Note, node.bilingual),
		"criteria":  into(&p.Criteria, listOf(node.criterion)),
		"duties":    into(&p.Duties, listOf(node.duty)),
		"followUps": into(&p.FollowUps, listOf(node.followUp)),
		"retention": into(&p.Retention, node.retention),
	}, "id", "title", "source", "rank", "effective")
	uniqueIDs(n, faults, "criteria", p.Criteria, func(c *Criterion) string { return c.ID })
	uniqueIDs(n, faults, "duties", p.Duties, func(d *DutyRule) string { return d.ID })
	uniqueIDs(n, faults, "followUps", p.FollowUps, func(f *FollowUp) string { return f.ID })
	document.Locate(raw, *faults)
	return p
}

func uniqueIDs[T any](n node, faults *[]fault.Detail, key string, list []T, id func(*T) string) {
	seen := make(map[string]bool)
	for i := range list {
		if s := id(&list[i]); s != "" && seen[s] {
			at(faults, fmt.Sprintf("%s.%s[%d].id", n.Path(), key, i)).fail("the id %q is used twice", s)
		} else {
			seen[s] = true
		}
	}
}

func (n node) bilingual() (t Text) {
	n.fields(keys{"zh": into(&t.ZH, node.text), "en": into(&t.EN, node.text)}, "zh", "en")
	return t
}

func (n node) effective() (e Effective) {
	n.fields(keys{"from": into(&e.From, node.date), "until": into(&e.Until, node.date)}, "from")
	if !e.Until.IsZero() && !e.Until.After(e.From) {
		n.fail("until must come after from")
	}
	return e
}

var readConfidence = oneOf(event.ConfidenceText, event.ConfidenceSecondary,
	event.ConfidenceUnverified, event.ConfidenceInterpretation)

func (n node) criterion() Criterion {
	var c Criterion
	c.For.About = []event.About{event.AboutIncident}
	n.fields(keys{
		"id":         into(&c.ID, node.id),
		"grade":      into(&c.Grade, node.grade),
		"for":        func(n node) { n.scope(&c.For, nil) },
		"when":       into(&c.When, node.condition),
		"citation":   into(&c.Citation, node.text),
		"quote":      into(&c.Quote, node.text),
		"confidence": into(&c.Confidence, readConfidence),
		"note":       into(&c.Note, node.bilingual),
		"fixtures":   into(&c.Fixtures, node.fixtures),
	}, "id", "grade", "when")
	walk(c.When, func(part Condition) {
		if _, ok := part.(*judged); ok {
			c.judged = true
		}
	})
	return c
}

// scope reads what a line applies to. A line with when, which is a duty or a follow-up,
// also has a grade and a condition.
func (n node) scope(s *Scope, when *Condition) {
	known := keys{
		"about":   into(&s.About, listOf(oneOf(event.AboutIncident, event.AboutThreat))),
		"region":  into(&s.Region, node.region),
		"sector":  into(&s.Sector, listOf(node.text)),
		"cii":     into(&s.CII, node.booleanRef),
		"central": into(&s.Central, node.booleanRef),
	}
	if when != nil {
		known["grade"] = into(&s.Grade, node.grade)
		known["when"] = into(when, node.condition)
	}
	n.fields(known)
}

func (n node) duty() DutyRule {
	var d DutyRule
	d.For.About = []event.About{event.AboutIncident}
	n.fields(keys{
		"id":         into(&d.ID, node.id),
		"for":        func(n node) { n.scope(&d.For, &d.When) },
		"from":       into(&d.From, node.party),
		"to":         into(&d.To, node.party),
		"act":        into(&d.Act, oneOf(event.ActReport, event.ActForward, event.ActNotify, event.ActCrimeNotice)),
		"within":     into(&d.Within, node.within),
		"clock":      into(&d.Clock, oneOf(clocks...)),
		"items":      into(&d.Items, node.disclosed),
		"manual":     into(&d.Manual, node.boolean),
		"citation":   into(&d.Citation, node.text),
		"quote":      into(&d.Quote, node.text),
		"confidence": into(&d.Confidence, readConfidence),
		"note":       into(&d.Note, node.bilingual),
	}, "id", "from", "to", "act", "clock")
	if d.To.Role == RoleOperator {
		n.fail("an operator is told nothing: it can only stand in from")
	}
	if d.From.Role == RoleDepartments || (d.To.Role == RoleDepartments && !d.Manual) {
		n.fail("departments are not named: they can only stand in to, with manual: true")
	}
	return d
}

// party reads a role alone, or a role with its level.
func (n node) party() (p Party) {
	role := oneOf(RoleOperator, RoleProtection, RolePublicSecurity, RoleCyberspace, RoleCyberspaceOffice, RoleDepartments)
	if n.Has("role") {
		n.fields(keys{
			"role":  into(&p.Role, role),
			"level": into(&p.Level, oneOf(LevelNational, LevelProvince, LevelPrefecture, LevelCounty, LevelOwn)),
		}, "role")
	} else {
		p.Role = role(n)
	}
	leveled := slices.Contains([]Role{RolePublicSecurity, RoleCyberspace}, p.Role)
	switch {
	case leveled && p.Level == "":
		n.fail("%s needs a level", p.Role)
	case !leveled && p.Level != "":
		n.fail("%s has no level", p.Role)
	}
	return p
}

func (n node) fixtures() (f Fixtures) {
	n.fields(keys{
		"hit":     into(&f.Hit, oneOrMore(node.fixture)),
		"below":   into(&f.Below, oneOrMore(node.fixture)),
		"missing": into(&f.Missing, oneOrMore(node.fixture)),
	})
	return f
}

func (n node) fixture() (f Fixture) {
	var facility Facility
	n.fields(keys{
		"at":       into(&f.At, node.instant),
		"report":   into(&f.Case.Report, node.report),
		"facility": func(n node) { n.facility(&facility) },
		"central":  into(&f.Case.Operator.Central, node.boolean),
	})
	f.Case.Facilities = []Facility{facility}
	return f
}

func (n node) facility(f *Facility) {
	n.fields(keys{
		"id":     into(&f.ID, node.text),
		"region": into(&f.Region, node.region),
		"sector": into(&f.Sector, node.text),
		"cii":    into(&f.CII, node.boolean),
	})
}

// report reads the data of a report in the form that a sender would write.
func (n node) report() event.Report {
	var r event.Report
	before := n.Faults()
	value := n.Plain()
	if n.Faults() > before {
		return r
	}
	raw, err := json.Marshal(value)
	if err != nil {
		n.fail("%v", err)
		return r
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		n.fail("not a report: %v", err)
	}
	return r
}
