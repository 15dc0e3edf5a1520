package statute

import (
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
	scope   string   // of an outage
	cii     bool     // outages of critical information infrastructure
	classes []string // of a site
	page    string   // of a defacement
	level   string   // of a region
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
	add("class", strings.Join(w.classes, "|"))
	add("page", w.page)
	add("level", w.level)
	return strings.Join(words, ", ")
}

// comparison reads a fact, the entries that it is narrowed to, and its limit.
func (n node) comparison() Condition {
	c := &comparison{fact: &fact{}}
	var path string
	limits := make(map[string]node)
	hold := func(name string) func(node) { return func(n node) { limits[name] = n } }
	n.fields(keys{
		"fact":     into(&path, node.text),
		"where":    hold("where"),
		"atLeast":  hold("atLeast"),
		"above":    hold("above"),
		"is":       hold("is"),
		"currency": into(&c.currency, node.text),
	}, "fact")
	i := slices.IndexFunc(facts, func(f fact) bool { return f.path == path })
	if i < 0 {
		n.fail("unknown fact %q", path)
		return c
	}
	c.fact = &facts[i]
	if w, ok := limits["where"]; ok {
		w.where(c)
	}
	n.limit(c, limits)
	return c
}

// limit reads the one limit that the kind of fact accepts.
func (n node) limit(c *comparison, limits map[string]node) {
	if c.fact.kind == boolean {
		is, ok := limits["is"]
		if _, least := limits["atLeast"]; !ok || least {
			n.fail("%s is compared by is: true or false", c.fact.path)
			return
		}
		c.flag = is.boolean()
		return
	}
	least, one := limits["atLeast"]
	above, other := limits["above"]
	if _, is := limits["is"]; one == other || is {
		n.fail("%s needs one limit: atLeast or above", c.fact.path)
		return
	}
	if c.strict = other; c.strict {
		least = above
	}
	switch c.fact.kind {
	case duration:
		c.length = least.duration()
	case ordinal:
		c.limit = float64(slices.Index(c.fact.scale, oneOf(c.fact.scale...)(least)))
		if c.limit < 0 {
			c.limit = 0 // the fault is already added
		}
	default:
		c.limit = least.number()
	}
	switch {
	case c.fact.kind != money && c.currency != "":
		n.fail("%s has no currency", c.fact.path)
	case c.fact.kind == money && c.currency == "" && c.limit != 0:
		n.fail("an amount needs a currency")
	case c.fact.kind == share && c.limit > 1:
		n.fail("a share lies between 0 and 1")
	}
}

var readClass = oneOf("central", "provincial", "prefecture", "other")

func (n node) where(c *comparison) {
	all := keys{
		"scope": into(&c.where.scope, oneOf("overall", "main-function")),
		"cii": func(n node) {
			if c.where.cii = n.boolean(); !c.where.cii {
				n.fail("only cii: true narrows an outage")
			}
		},
		"class": into(&c.where.classes, oneOrMore(readClass)),
		"page":  into(&c.where.page, oneOf("home", "other")),
		"level": into(&c.where.level, oneOf("province", "prefecture")),
	}
	permitted := make(keys)
	for _, key := range c.fact.where {
		permitted[key] = all[key]
	}
	n.fields(permitted)
}
