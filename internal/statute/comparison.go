package statute

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/site"
)

// comparison holds when a fact reaches a limit.
type comparison struct {
	fact     *fact
	where    where
	strict   bool          // above the limit, not at it
	length   time.Duration // the limit of a duration
	limit    float64       // of a number, a share, an amount; the rank of a word
	currency string        // of an amount; empty where the limit is zero in any
	flag     bool          // what a boolean must be
	words    []string      // of which a word must be one
	orShare  *part         // of an amount: another limit, where that is lower

	written comparisonJSON // as the pack has it
}

// where narrows a fact to some of its entries. Zero fields do not narrow.
type where struct {
	scope string // of an outage
	cii   bool   // outages of critical information infrastructure
	sites site.Kinds
	page  string // of a defacement
	level string // of a region
}

func (*comparison) parts() []Condition { return nil }

func (c *comparison) verdict(r *reading) Verdict {
	// Facts of one thing, and its parts (facts.defacement.views), are of a facility itself.
	if r.c.alone && c.fact.each == nil && strings.Count(c.fact.path, ".") < 2 {
		return False
	}
	return c.fact.judge(c, r)
}

func (c *comparison) String() string {
	text := c.fact.path
	if w := c.where.String(); w != "" {
		text += " {" + w + "}"
	}
	switch {
	case c.words != nil:
		return text + " is " + strings.Join(c.words, " or ")
	case c.fact.kind == boolean:
		return fmt.Sprintf("%s is %t", text, c.flag)
	}
	sign := "≥"
	if c.strict {
		sign = ">"
	}
	text = strings.TrimSpace(fmt.Sprintf("%s %s %s %s", text, sign, c.limitText(), c.currency))
	if s := c.orShare; s != nil {
		text += fmt.Sprintf(" or %s of %s, whichever is lower", strconv.FormatFloat(s.share, 'f', -1, 64), s.of.path)
	}
	return text
}

func (c *comparison) limitText() string {
	switch c.fact.kind {
	case duration:
		return event.FormatDuration(c.length)
	case ordinal:
		return c.fact.scale[int(c.limit)]
	default:
		return strconv.FormatFloat(c.limit, 'f', -1, 64)
	}
}

func (w where) String() string {
	var words []string
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+": "+value)
		}
	}
	add("scope", w.scope)
	if w.cii {
		add("cii", "true")
	}
	add("site", w.sites.Text)
	add("page", w.page)
	add("level", w.level)
	return strings.Join(words, ", ")
}

// comparisonJSON is a comparison as written; the schema has checked that its members fit
// its fact.
type comparisonJSON struct {
	Fact  string `json:"fact"`
	Where struct {
		Scope string     `json:"scope"`
		CII   bool       `json:"cii"`
		Site  site.Kinds `json:"site"`
		Page  string     `json:"page"`
		Level string     `json:"level"`
	} `json:"where"`
	AtLeast  json.RawMessage `json:"atLeast"`
	Above    json.RawMessage `json:"above"`
	Is       json.RawMessage `json:"is"`
	Currency string          `json:"currency"`
	OrShare  *struct {
		Of    string  `json:"of"`
		Share float64 `json:"share"`
	} `json:"orShare"`
}

// comparison returns the comparison. One of a fact that the pack declares has no fact and
// no limit yet.
func (in *comparisonJSON) comparison() (Condition, error) {
	w := in.Where
	c := &comparison{
		where: where{w.Scope, w.CII, w.Site, w.Page, w.Level}, strict: in.Above != nil, currency: in.Currency, written: *in,
	}
	if strings.HasPrefix(in.Fact, prefixNamed) || strings.HasPrefix(in.Fact, prefixOperator) {
		return c, nil
	}
	i := slices.IndexFunc(facts, func(f fact) bool { return f.path == in.Fact })
	if i < 0 {
		return nil, fmt.Errorf("%q is not among the facts", in.Fact)
	}
	c.fact = &facts[i]
	return c, c.set(in)
}

// set sets what the fact is compared with, and reports what does not fit the fact.
func (c *comparison) set(in *comparisonJSON) error {
	limit := in.AtLeast
	if c.strict {
		limit = in.Above
	}
	switch {
	case limit != nil:
		return c.setLimit(limit)
	case in.Is == nil:
		return nil // refused by the schema
	case c.fact.kind == boolean:
		return json.Unmarshal(in.Is, &c.flag)
	}
	return json.Unmarshal(in.Is, (*oneOrMore[string])(&c.words))
}

// misfit returns what does not fit a declared fact, or "". The schema has checked the
// comparisons of other facts.
func (c *comparison) misfit() string {
	limited := c.written.AtLeast != nil || c.written.Above != nil
	unknown := func(word string) bool { return !slices.Contains(c.fact.scale, word) }
	switch {
	case c.fact.kind == boolean && limited:
		return "is compared by is: true or false"
	case c.fact.kind != boolean && c.fact.kind != ordinal && !limited:
		return "needs one limit: atLeast or above"
	case c.fact.kind == ordinal && (c.limit < 0 || slices.ContainsFunc(c.words, unknown)):
		return "is not one of " + strings.Join(c.fact.scale, ", ")
	case c.fact.kind == money && c.currency == "" && c.limit != 0:
		return "an amount needs a currency"
	case c.fact.kind != money && c.currency != "":
		return "only an amount has a currency"
	case c.fact.kind == share && c.limit > 1:
		return "a share lies between 0 and 1"
	}
	return ""
}

func (c *comparison) setLimit(raw json.RawMessage) error {
	var word string
	var err error
	switch c.fact.kind {
	case duration:
		var length event.Duration
		err = json.Unmarshal(raw, &length)
		c.length = time.Duration(length)
	case ordinal:
		err = json.Unmarshal(raw, &word)
		c.limit = float64(slices.Index(c.fact.scale, word))
	default:
		err = json.Unmarshal(raw, &c.limit)
	}
	return err
}
