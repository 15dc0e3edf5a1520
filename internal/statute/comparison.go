package statute

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
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
}

// where narrows a fact to some of its entries. Zero fields do not narrow.
type where struct {
	scope    string // of an outage
	cii      bool   // outages of critical information infrastructure
	sites    sites  // none: every site
	siteText string // the sites as written
	page     string // of a defacement
	level    string // of a region
}

func (*comparison) parts() []Condition { return nil }

func (c *comparison) verdict(r *reading) Verdict { return c.fact.judge(c, r) }

func (c *comparison) String() string {
	text := c.fact.path
	if w := c.where.String(); w != "" {
		text += " {" + w + "}"
	}
	if c.fact.kind == boolean {
		return fmt.Sprintf("%s is %t", text, c.flag)
	}
	sign := "≥"
	if c.strict {
		sign = ">"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", text, sign, c.limitText(), c.currency))
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
	add("site", w.siteText)
	add("page", w.page)
	add("level", w.level)
	return strings.Join(words, ", ")
}

// comparisonJSON is a comparison as written; the schema has checked that its members fit
// its fact.
type comparisonJSON struct {
	Fact  string `json:"fact"`
	Where struct {
		Scope string              `json:"scope"`
		CII   bool                `json:"cii"`
		Site  oneOrMore[siteJSON] `json:"site"`
		Page  string              `json:"page"`
		Level string              `json:"level"`
	} `json:"where"`
	AtLeast  json.RawMessage `json:"atLeast"`
	Above    json.RawMessage `json:"above"`
	Is       bool            `json:"is"`
	Currency string          `json:"currency"`
}

func (in *comparisonJSON) comparison() (Condition, error) {
	i := slices.IndexFunc(facts, func(f fact) bool { return f.path == in.Fact })
	if i < 0 {
		return nil, fmt.Errorf("%q is not among the facts", in.Fact)
	}
	w := in.Where
	sites, siteText := sitesIn(w.Site)
	c := &comparison{
		fact: &facts[i], where: where{w.Scope, w.CII, sites, siteText, w.Page, w.Level},
		strict: in.Above != nil, currency: in.Currency, flag: in.Is,
	}
	limit := in.AtLeast
	if c.strict {
		limit = in.Above
	}
	if limit == nil {
		return c, nil
	}
	return c, c.setLimit(limit)
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
		c.limit = float64(max(0, slices.Index(c.fact.scale, word)))
	default:
		err = json.Unmarshal(raw, &c.limit)
	}
	return err
}
