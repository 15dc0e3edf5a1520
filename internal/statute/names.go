package statute

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// names are the items and facts of a report by their paths, and the values that narrow or
// compare them, as "scope.overall" or "word.serious": the annotation x-names of the schema
// of reports.
var names = sync.OnceValue(func() map[string]Text {
	raw, err := fs.ReadFile(schemas.Reports, "common.v1.json")
	var schema struct {
		Names map[string]Text `json:"x-names"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &schema)
	}
	if err != nil {
		panic(fmt.Errorf("names: %w", err)) // a test reads them
	}
	return schema.Names
})

// NameOf returns the name of an item or fact of a report, or its path in both languages
// where it has none.
func NameOf(path string) Text {
	if name, ok := names()[path]; ok {
		return name
	}
	return Text{path, path}
}

// Language has the words of a reader's language.
type Language interface {
	Pick(zhEN [2]string) string
	Word(id string) string
	GradeName(event.Grade) string
	Length(time.Duration) string
}

func pick(l Language, t Text) string { return l.Pick([2]string{t.ZH, t.EN}) }

// Describe returns a condition of the pack in words; "" for none.
func (p *Pack) Describe(c Condition, l Language) string {
	switch c := c.(type) {
	case nil:
		return ""
	case *some:
		parts := make([]string, len(c.of))
		for i, part := range c.of {
			parts[i] = p.Describe(part, l)
		}
		head := fmt.Sprintf(l.Word("some-of"), c.n)
		switch c.n {
		case len(c.of):
			head = l.Word("all-of")
		case 1:
			head = l.Word("any-of")
		}
		return head + " (" + strings.Join(parts, "; ") + ")"
	case *graded:
		return fmt.Sprintf(l.Word("graded-under"), l.GradeName(c.from), c.statute)
	case *judged:
		return fmt.Sprintf(l.Word("judged-from"), l.GradeName(c.from))
	case *earlier:
		return fmt.Sprintf(l.Word("earlier-within"), c.within, c.atLeast)
	case *comparison:
		return p.describeComparison(c, l)
	}
	return c.String()
}

func (p *Pack) describeComparison(c *comparison, l Language) string {
	text := p.factName(c.fact, l)
	if narrowed := c.written.narrowed(l); len(narrowed) > 0 {
		text += " (" + strings.Join(narrowed, ", ") + ")"
	}
	switch {
	case c.words != nil:
		words := make([]string, len(c.words))
		for i, w := range c.words {
			words[i] = pick(l, valueName("word", w))
		}
		return text + ": " + strings.Join(words, " / ")
	case c.fact.kind == boolean:
		return text + ": " + l.Word(map[bool]string{true: "yes", false: "no"}[c.flag])
	}
	sign := " ≥ "
	if c.strict {
		sign = " > "
	}
	text += sign + c.describeLimit(l)
	if s := c.orShare; s != nil {
		text = fmt.Sprintf(l.Word("or-share"), text, percent(s.share), p.factName(s.of, l))
	}
	return text
}

func (c *comparison) describeLimit(l Language) string {
	switch c.fact.kind {
	case duration:
		return l.Length(c.length)
	case ordinal:
		return pick(l, valueName("word", c.fact.scale[int(c.limit)]))
	case share:
		return percent(c.limit)
	default:
		return strings.TrimSpace(humanize.Commaf(c.limit) + " " + c.currency)
	}
}

// factName returns the name of a fact: that which the pack declares, or that of a report.
func (p *Pack) factName(f *fact, l Language) string {
	if i := slices.IndexFunc(p.Facts, func(n NamedFact) bool { return n.Path() == f.path }); i >= 0 {
		return pick(l, p.Facts[i].Title)
	}
	return pick(l, NameOf(f.path))
}

// narrowed returns the names of what narrows a fact.
func (in *comparisonJSON) narrowed(l Language) (out []string) {
	add := func(kind, value string) {
		if value != "" {
			out = append(out, pick(l, valueName(kind, value)))
		}
	}
	add("scope", in.Where.Scope)
	if in.Where.CII {
		out = append(out, l.Word("is-cii"))
	}
	for _, s := range in.Where.Site.List {
		var parts []string
		for _, list := range []struct {
			kind   string
			values []string
		}{{"siteLevel", s.Level}, {"size", s.Size}, {"owner", s.Owner}} {
			var values []string
			for _, v := range list.values {
				values = append(values, pick(l, valueName(list.kind, v)))
			}
			if values != nil {
				parts = append(parts, strings.Join(values, "/"))
			}
		}
		out = append(out, strings.Join(parts, " "))
	}
	add("page", in.Where.Page)
	add("level", in.Where.Level)
	return out
}

// valueName returns the name of a value, or the value itself: packs declare words of
// their own.
func valueName(kind, value string) Text {
	if name, ok := names()[kind+"."+value]; ok {
		return name
	}
	return Text{value, value}
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', -1, 64) + "%" }
