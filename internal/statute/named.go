package statute

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute/calendar"
)

// NamedFact is a fact that a pack declares, so that its conditions can name it. A report
// gives it under facts.named; one whose name begins with "operator." is an attribute of
// the operator and stands in the register.
type NamedFact struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Words []string `json:"words"` // of the kind word, in ascending order
	Title Text     `json:"title"`
}

const (
	prefixNamed    = "facts.named."
	prefixOperator = "operator."
)

// kinds are what a pack calls the kinds of facts that it declares.
var kinds = map[string]kind{"yes-no": boolean, "number": number, "share": share, "duration": duration, "amount": money, "word": ordinal}

// writtenAs is how a value of a kind is written in a report or a register.
var writtenAs = map[kind]string{
	boolean: "true or false", number: "a number such as 1200 or {atLeast: 1200}", share: "a number from 0 to 1, such as 0.25",
	duration: "a duration such as PT2H or {atLeast: PT2H}", money: "an amount such as {amount: 5000, currency: EUR}",
}

// Path is how a condition names the fact.
func (n *NamedFact) Path() string {
	if strings.HasPrefix(n.Name, prefixOperator) {
		return n.Name
	}
	return prefixNamed + n.Name
}

// fact returns the fact that conditions compare.
func (n *NamedFact) fact() *fact {
	return &fact{path: n.Path(), kind: kinds[n.Kind], scale: n.Words, judge: judgeNamed}
}

// named is what a report or the register says of a declared fact. What it may say depends
// on the kind of the fact.
type named struct {
	yes    bool
	number event.Number // a number, a share, an amount; the rank of a word
	length event.Span
	money  event.Money
}

// read reads a value of the fact; nil without an error is one that is not known.
func (f *fact) read(raw jsontext.Value) (*named, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	var n named
	var err error
	switch f.kind {
	case boolean:
		err = json.Unmarshal(raw, &n.yes)
	case duration:
		err = json.Unmarshal(raw, &n.length)
	case money:
		err = json.Unmarshal(raw, &n.money, json.RejectUnknownMembers(true))
		if err == nil && n.money.Currency == "" {
			return nil, errors.New("has no currency")
		}
		n.number = n.money.Amount
	case ordinal:
		var word string
		if json.Unmarshal(raw, &word) != nil || !slices.Contains(f.scale, word) {
			return nil, fmt.Errorf("must be one of %s, got %s", strings.Join(f.scale, ", "), raw)
		}
		n.number.Value = float64(slices.Index(f.scale, word))
	default:
		err = json.Unmarshal(raw, &n.number)
		if err == nil && f.kind == share && n.number.Value > 1 {
			return nil, fmt.Errorf("must lie between 0 and 1, got %s", raw)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("must be %s, got %s", writtenAs[f.kind], raw)
	}
	return &n, nil
}

// named returns what the case says of a declared fact; nil if it is not known.
func (r *reading) named(f *fact) *named {
	var raw jsontext.Value
	if name, reported := strings.CutPrefix(f.path, prefixNamed); reported {
		raw = r.facts().Named[name]
	} else {
		raw = r.c.Operator.Attributes[strings.TrimPrefix(f.path, prefixOperator)]
	}
	n, err := f.read(raw)
	if err != nil {
		return nil // it was refused where it came in
	}
	return n
}

func judgeNamed(c *comparison, r *reading) Verdict {
	n := r.named(c.fact)
	switch {
	case n == nil:
		return Unknown
	case c.words != nil:
		return verdictOf(slices.Contains(c.words, c.fact.scale[int(n.number.Value)]))
	case c.fact.kind == boolean:
		return verdictOf(n.yes == c.flag)
	case c.fact.kind == duration:
		return reaches(n.length.Duration, !n.length.AtLeast, c.length, c.strict)
	case c.fact.kind == money:
		return c.amount(r, &n.money)
	}
	return c.count(&n.number)
}

// part is a share of another amount, which is the limit of an amount where it is lower.
type part struct {
	of    *fact
	share float64
}

// amount compares an amount with a limit in its own currency, and with a part of another
// amount in its own currency: whichever is lower is the limit, so reaching either is
// enough.
func (c *comparison) amount(r *reading, m *event.Money) Verdict {
	v := Unknown
	if m != nil && (c.currency == "" || c.currency == m.Currency) {
		v = c.count(&m.Amount)
	}
	if m == nil || c.orShare == nil {
		return v
	}
	whole := r.named(c.orShare.of)
	if whole == nil || whole.money.Currency != m.Currency {
		return max(v, Unknown)
	}
	reached := reaches(m.Amount.Value, !m.Amount.AtLeast, c.orShare.share*whole.number.Value, c.strict)
	if reached == True && whole.number.AtLeast {
		reached = Unknown // the whole may be larger
	}
	return max(v, reached)
}

// lacks returns the fact without which the comparison is open.
func (c *comparison) lacks(r *reading) string {
	if c.orShare != nil && r.named(c.orShare.of) == nil && c.fact.path == "facts.directLoss" && r.facts().DirectLoss != nil {
		return c.orShare.of.path
	}
	return c.fact.path
}

// declare resolves the declared facts that the conditions of the pack name.
func (p *Pack) declare(doc *document.Document) {
	byPath := make(map[string]*fact, len(p.Facts))
	for i := range p.Facts {
		n := &p.Facts[i]
		if byPath[n.Path()] != nil {
			doc.Fail(fmt.Sprintf("$.facts[%d].name", i), "the fact %q is declared twice", n.Name)
		}
		if (n.Kind == "word") != (len(n.Words) > 0) {
			doc.Fail(fmt.Sprintf("$.facts[%d]", i), "a fact of the kind word has words, and no other has")
		}
		byPath[n.Path()] = n.fact()
	}
	resolve := func(path, name string) *fact {
		f := byPath[name]
		if f == nil {
			doc.Fail(path, "the pack declares no fact %q under facts", name)
		}
		return f
	}
	p.conditions(func(path string, one Condition) {
		c, ok := one.(*comparison)
		if !ok {
			return
		}
		if c.fact == nil {
			if c.fact = resolve(path+".fact", c.written.Fact); c.fact == nil {
				return
			}
			if err := c.set(&c.written); err != nil {
				doc.Fail(path, "is no limit of a %s: %v", p.kindOf(c.fact), err)
			} else if why := c.misfit(); why != "" {
				doc.Fail(path, "%s", why)
			}
		}
		if s := c.written.OrShare; s != nil && c.fact.kind != money {
			doc.Fail(path+".orShare", "only an amount may be a share of another")
		} else if s != nil {
			if of := resolve(path+".orShare.of", s.Of); of != nil && of.kind != money {
				doc.Fail(path+".orShare.of", "%q is no amount", s.Of)
			} else {
				c.orShare = &part{of, s.Share}
			}
		}
	})
}

// kindOf returns what the pack calls the kind of a fact that it declares.
func (p *Pack) kindOf(f *fact) string {
	i := slices.IndexFunc(p.Facts, func(n NamedFact) bool { return n.Path() == f.path })
	return p.Facts[i].Kind
}

// checkNamed finds facts that two packs declare differently.
func checkNamed(files []file) {
	type first struct {
		fact *NamedFact
		pack string
	}
	seen := make(map[string]first)
	for _, f := range files {
		for i := range f.pack.Facts {
			n := &f.pack.Facts[i]
			other, known := seen[n.Name]
			if !known {
				seen[n.Name] = first{n, f.pack.ID}
			} else if other.fact.Kind != n.Kind || !slices.Equal(other.fact.Words, n.Words) {
				f.doc.Fail(fmt.Sprintf("$.facts[%d]", i), "%s declares %q with another kind or other words", other.pack, n.Name)
			}
		}
	}
}

// NamedFacts returns the facts that the packs declare, by the path that conditions use,
// sorted by it.
func (s *Set) NamedFacts() []NamedFact {
	byPath := make(map[string]NamedFact)
	for _, p := range s.packs {
		for _, n := range p.Facts {
			byPath[n.Path()] = n
		}
	}
	return slices.SortedFunc(maps.Values(byPath), func(a, b NamedFact) int { return cmp.Compare(a.Path(), b.Path()) })
}

// CheckReport returns what is wrong with the named facts and the stages of a report: facts
// that no pack declares, values of another kind, stages that no pack has. The paths begin
// at the report's data.
func (s *Set) CheckReport(facts map[string]jsontext.Value, stages []string) []fault.Detail {
	faults := s.checkValues(facts, prefixNamed, "facts.named")
	for i, stage := range stages {
		if !slices.ContainsFunc(s.packs, func(p *Pack) bool { return p.HasStage(stage) }) {
			faults = append(faults, fault.Detail{Path: fmt.Sprintf("stages[%d]", i), Message: fmt.Sprintf("no statute pack in use has a stage %q", stage)})
		}
	}
	return faults
}

// CheckAttributes returns what is wrong with the attributes of an operator, as CheckReport
// does.
func (s *Set) CheckAttributes(attributes map[string]jsontext.Value) []fault.Detail {
	return s.checkValues(attributes, prefixOperator, "attributes")
}

func (s *Set) checkValues(values map[string]jsontext.Value, prefix, path string) (faults []fault.Detail) {
	if len(values) == 0 {
		return nil // as in nearly every report
	}
	declared := s.NamedFacts()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := path + "." + name
		i := slices.IndexFunc(declared, func(n NamedFact) bool { return n.Path() == prefix+name })
		if i < 0 {
			faults = append(faults, fault.Detail{Path: at, Message: "no statute pack in use declares this fact"})
			continue
		}
		if _, err := declared[i].fact().read(values[name]); err != nil {
			faults = append(faults, fault.Detail{Path: at, Message: err.Error()})
		}
	}
	return faults
}

// earlier holds when enough earlier incidents of the operator were discovered within a
// time before this one, which does not count itself. It is unknown until the operator has
// listed them.
type earlier struct {
	within  calendar.Limit
	atLeast int
	zone    *time.Location // of the pack
}

func (*earlier) parts() []Condition { return nil }

func (e *earlier) String() string {
	return fmt.Sprintf("at least %d earlier incidents within %s", e.atLeast, e.within)
}

func (e *earlier) verdict(r *reading) Verdict {
	list, found := r.c.Report.Earlier, r.c.Report.DiscoveredAt
	switch {
	case list != nil && len(list) < e.atLeast:
		return False // whenever this one was discovered
	case list == nil || found == nil:
		return Unknown
	}
	n := 0
	for _, before := range list {
		if !before.DiscoveredAt.After(*found) && e.within.After(before.DiscoveredAt, calendar.Place{Zone: e.zone}).After(*found) {
			n++
		}
	}
	return verdictOf(n >= e.atLeast)
}
