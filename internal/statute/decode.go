package statute

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
	"github.com/tocsin-project/tocsin/schemas"
)

const maxPackBytes = 1 << 20

// schema is what a pack may contain: everything but what must differ from or agree with
// something else in it.
var schema = sync.OnceValue(func() *document.Schema {
	return document.MustCompile(schemas.Statutes, "pack.v1.json", map[string]func(string) error{
		"date":        func(s string) error { _, err := parseDate(s); return err },
		"date-time":   func(s string) error { _, err := parseInstant(s); return err },
		"duration":    func(s string) error { _, err := event.ParseDuration(s); return err },
		"report-path": event.CheckReportPath,
		"limit":       func(s string) error { _, err := calendar.ParseLimit(s); return err },
		"time":        func(s string) error { _, err := calendar.ParseTimeOfDay(s); return err },
		"zone":        func(s string) error { _, err := ParseZone(s); return err },
		"months":      func(s string) error { _, err := ParseMonths(s); return err },
	})
})

// parseDate reads a calendar date as its first instant at +08:00.
func parseDate(s string) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, event.Beijing)
	if err != nil {
		return t, fmt.Errorf("%q is not a calendar date such as 2025-11-01", s)
	}
	return t, nil
}

func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%q is not an RFC 3339 time", s)
	}
	return t, nil
}

// Decode reads one pack. Unknown and duplicate keys, wrong types and trailing
// documents are faults; the error is of kind Reject and carries all of them.
// References to other packs are resolved by Load.
func Decode(raw []byte) (*Pack, error) {
	p, doc := decode(raw)
	if faults := doc.Faults(); faults != nil {
		return nil, fault.Invalid("statute: decode", faults)
	}
	return p, nil
}

func decode(raw []byte) (*Pack, *document.Document) {
	sum := sha256.Sum256(raw)
	p := &Pack{Raw: bytes.Clone(raw), SHA256: hex.EncodeToString(sum[:])}
	doc := document.Read(raw, maxPackBytes, schema(), p)
	if e := p.Effective; !e.Until.IsZero() && !e.Until.After(e.From) {
		doc.Fail("$.effective", "until must come after from")
	}
	uniqueIDs(doc, "criteria", p.Criteria, func(c *Criterion) string { return c.ID })
	uniqueIDs(doc, "duties", p.Duties, func(d *DutyRule) string { return d.ID })
	uniqueIDs(doc, "followUps", p.FollowUps, func(f *FollowUp) string { return f.ID })
	uniqueIDs(doc, "consequences", p.Consequences, func(c *Consequence) string { return c.ID })
	for i := range p.Criteria {
		c := &p.Criteria[i]
		walk(c.When, func(part Condition) {
			switch part.(type) {
			case *judged:
				c.judged = true
			case *graded:
				c.graded = true
			}
		})
		path := fmt.Sprintf("$.criteria[%d].fixtures", i)
		decodeReports(doc, path+".hit", c.Fixtures.Hit)
		decodeReports(doc, path+".below", c.Fixtures.Below)
		decodeReports(doc, path+".missing", c.Fixtures.Missing)
	}
	for i := range p.FollowUps {
		last := 0.0
		for j, f := range p.FollowUps[i].Remind {
			if f <= last {
				doc.Fail(fmt.Sprintf("$.followUps[%d].remind[%d]", i, j), "want fractions above 0 and below 1, ascending")
			}
			last = f
		}
	}
	p.locate(doc)
	p.declare(doc)
	p.checkClocks(doc)
	p.checkConsequences(doc)
	p.conditions(func(path string, c Condition) {
		if list, ok := c.(*some); ok && list.n > len(list.of) {
			doc.Fail(path+".some.atLeast", "must be at most the number of conditions")
		}
	})
	return p, doc
}

func uniqueIDs[T any](doc *document.Document, key string, list []T, id func(*T) string) {
	seen := make(map[string]bool)
	for i := range list {
		s := id(&list[i])
		if s != "" && seen[s] {
			doc.Fail(fmt.Sprintf("$.%s[%d].id", key, i), "the id %q is used twice", s)
		}
		seen[s] = true
	}
}

// decodeReports reads the reports of fixtures in the form that a sender would write.
func decodeReports(doc *document.Document, path string, fixtures []Fixture) {
	for i := range fixtures {
		f := &fixtures[i]
		if f.report == nil {
			continue
		}
		at := path
		if doc.IsList(path) {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		dec := json.NewDecoder(bytes.NewReader(f.report))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f.Case.Report); err != nil {
			doc.Fail(at+".report", "not a report: %v", err)
		}
		f.report = nil
	}
}

// UnmarshalJSON reads calendar dates.
func (e *Effective) UnmarshalJSON(raw []byte) error {
	var in struct{ From, Until string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.From != "" {
		e.From, _ = parseDate(in.From) // the schema has checked the format
	}
	if in.Until != "" {
		e.Until, _ = parseDate(in.Until)
	}
	return nil
}

// UnmarshalJSON reads a criterion, which is about incidents unless it says otherwise.
func (c *Criterion) UnmarshalJSON(raw []byte) error {
	type plain Criterion
	in := struct {
		*plain
		When condition `json:"when"`
	}{plain: (*plain)(c)}
	err := json.Unmarshal(raw, &in)
	c.When = in.When.Condition
	c.For.aboutIncidents()
	return err
}

// UnmarshalJSON reads a kind.
func (k *Kind) UnmarshalJSON(raw []byte) error {
	type plain Kind
	in := struct {
		*plain
		When condition `json:"when"`
	}{plain: (*plain)(k)}
	err := json.Unmarshal(raw, &in)
	k.When = in.When.Condition
	return err
}

// lineScope is what a duty or a follow-up applies to.
type lineScope struct {
	Scope
	When condition `json:"when"`
}

// UnmarshalJSON reads a duty.
func (d *DutyRule) UnmarshalJSON(raw []byte) error {
	type plain DutyRule
	in := struct {
		*plain
		For lineScope `json:"for"`
	}{plain: (*plain)(d)}
	err := json.Unmarshal(raw, &in)
	d.For, d.When, d.Terms = in.For.Scope, in.For.When.Condition, termsOf(d.Within, d.Clock, d.OrEarlier)
	d.For.aboutIncidents()
	return err
}

// UnmarshalJSON reads a follow-up.
func (f *FollowUp) UnmarshalJSON(raw []byte) error {
	type plain FollowUp
	in := struct {
		*plain
		For lineScope `json:"for"`
	}{plain: (*plain)(f)}
	err := json.Unmarshal(raw, &in)
	f.For, f.When, f.Terms = in.For.Scope, in.For.When.Condition, termsOf(f.Within, f.Clock, f.OrEarlier)
	f.For.aboutIncidents()
	return err
}

func (s *Scope) aboutIncidents() {
	if s.About == nil {
		s.About = []event.About{event.AboutIncident}
	}
}

// UnmarshalJSON reads a role alone, or a role with its level.
func (p *Party) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return json.Unmarshal(raw, &p.Role)
	}
	type plain Party
	return json.Unmarshal(raw, (*plain)(p))
}

// UnmarshalJSON reads a case; decodeReports reads its report.
func (f *Fixture) UnmarshalJSON(raw []byte) error {
	var in struct {
		At       time.Time       `json:"at"`
		Report   json.RawMessage `json:"report"`
		Facility Facility        `json:"facility"`
		Central  bool            `json:"central"`

		Attributes map[string]jsontext.Value `json:"attributes"`
	}
	err := json.Unmarshal(raw, &in)
	f.Case.Operator.Attributes = in.Attributes
	f.At, f.report = in.At, in.Report
	f.Case.Operator.Central, f.Case.Facilities = in.Central, []Facility{in.Facility}
	return err
}

// oneOrMore reads a value or a list of them.
type oneOrMore[T any] []T

func (l *oneOrMore[T]) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]T)(l))
	}
	var one T
	err := json.Unmarshal(raw, &one)
	*l = oneOrMore[T]{one}
	return err
}
