package statute

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/site"
)

// kind is the type of a fact.
type kind int

const (
	duration kind = iota
	number
	share
	money
	ordinal
	boolean
)

// fact is a fact that a report may contain.
type fact struct {
	path  string // in the report's data
	kind  kind
	where []string // the keys that may narrow it
	scale []string // of an ordinal, in ascending order
	judge func(*comparison, *reading) Verdict
	// each visits the times of what may last and matches the comparison; nil for facts
	// that do not grow.
	each func(*comparison, *reading, func(event.Times))
}

var (
	seriousness = []string{"none", "relatively-serious", "serious", "especially-serious"}
	wideness    = []string{"none", "relatively-wide", "wide", "especially-wide"}
)

// facts lists every fact that a condition may name.
var facts = append(simpleFacts(), []fact{
	{path: "facts.outage", kind: duration, where: []string{"scope", "cii"}, judge: judgeOutage, each: eachOutage},
	{path: "facts.siteUnreachable", kind: duration, where: []string{"site"}, judge: judgeSite, each: eachSite},
	{path: "facts.defacement", kind: duration, where: []string{"site", "page"}, judge: judgeDefacement, each: eachDefacement},
	{path: "facts.defacement.reposts", kind: number, where: []string{"site"},
		judge: defaced(func(c *comparison, d *event.Defacement) Verdict { return c.count(d.Reposts) })},
	{path: "facts.defacement.views", kind: number, where: []string{"site"},
		judge: defaced(func(c *comparison, d *event.Defacement) Verdict { return c.count(d.Views) })},
	{path: "facts.defacement.finding", kind: ordinal, where: []string{"site"}, scale: wideness,
		judge: defaced(func(c *comparison, d *event.Defacement) Verdict { return c.word(d.Finding) })},
	{path: "facts.populationShare", kind: share, where: []string{"level"}, judge: judgeShare},
	{path: "facts.directLoss", kind: money, judge: judgeLoss},
	{path: "crimeSuspected", kind: boolean, judge: judgeCrime},
	{path: "kind", kind: ordinal, scale: kindsOfIncident, judge: judgeKind},
}...)

// simpleFacts returns the facts of a report that are one value. Its type says how they are
// compared: a number by its size, a word by its seriousness.
func simpleFacts() (simple []fact) {
	for f := range reflect.TypeFor[event.Facts]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value := func(r *reading) reflect.Value { return reflect.ValueOf(r.facts()).Elem().FieldByIndex(f.Index) }
		switch f.Type {
		case reflect.TypeFor[*event.Number]():
			simple = append(simple, fact{path: "facts." + name, kind: number, judge: func(c *comparison, r *reading) Verdict {
				return c.count(value(r).Interface().(*event.Number))
			}})
		case reflect.TypeFor[string]():
			simple = append(simple, fact{path: "facts." + name, kind: ordinal, scale: seriousness, judge: func(c *comparison, r *reading) Verdict {
				return c.word(value(r).String())
			}})
		}
	}
	return simple
}

// kindsOfIncident are those of GB/T 20986-2023, in no order that counts.
var kindsOfIncident = []string{
	"malware", "network-attack", "data-security", "information-content", "facility-fault", "improper-operation",
	"latent-hazard", "abnormal-behaviour", "force-majeure", "other",
}

func judgeKind(c *comparison, r *reading) Verdict {
	if r.c.Report.Kind == "" {
		return Unknown
	}
	return verdictOf(slices.Contains(c.words, r.c.Report.Kind))
}

// judgeOutage reports whether any matching outage lasted long enough. A list without a
// match leaves such outages unknown; an empty list denies them.
func judgeOutage(c *comparison, r *reading) Verdict {
	list := r.facts().Outage
	if (c.where.cii && !r.cii) || (list != nil && len(list) == 0) {
		return False
	}
	found, best := false, False
	eachOutage(c, r, func(t event.Times) { found, best = true, max(best, c.lasted(t, r.now)) })
	if !found {
		return Unknown
	}
	return best
}

func eachOutage(c *comparison, r *reading, visit func(event.Times)) {
	list := r.facts().Outage
	for i := range list {
		o := &list[i]
		if (c.where.scope == "" || o.Scope == c.where.scope) && (!c.where.cii || r.isCII(o.Facility)) {
			visit(o.Times)
		}
	}
}

func judgeSite(c *comparison, r *reading) Verdict {
	s := r.facts().SiteUnreachable
	if s == nil {
		return Unknown
	}
	return min(c.site(&s.Site), c.lasted(s.Times, r.now))
}

func judgeDefacement(c *comparison, r *reading) Verdict {
	d := r.facts().Defacement
	if d == nil {
		return Unknown
	}
	page := True
	switch {
	case c.where.page == "" || d.Page == c.where.page:
	case d.Page == "":
		page = Unknown
	default:
		page = False
	}
	return min(c.site(&d.Site), page, c.lasted(d.Times, r.now))
}

func defaced(judge func(*comparison, *event.Defacement) Verdict) func(*comparison, *reading) Verdict {
	return func(c *comparison, r *reading) Verdict {
		d := r.facts().Defacement
		if d == nil {
			return Unknown
		}
		return min(c.site(&d.Site), judge(c, d))
	}
}

func judgeShare(c *comparison, r *reading) Verdict {
	list := r.facts().PopulationShare
	if list != nil && len(list) == 0 {
		return False
	}
	found, best := false, False
	for i := range list {
		if c.where.level == "" || list[i].Level == c.where.level {
			found, best = true, max(best, c.count(&list[i].Share))
		}
	}
	if !found {
		return Unknown
	}
	return best
}

func judgeLoss(c *comparison, r *reading) Verdict {
	return c.amount(r, r.facts().DirectLoss)
}

func judgeCrime(c *comparison, r *reading) Verdict {
	b := r.c.Report.CrimeSuspected
	if b == nil {
		return Unknown
	}
	return verdictOf(*b == c.flag)
}

func (c *comparison) count(n *event.Number) Verdict {
	if n == nil {
		return Unknown
	}
	return reaches(n.Value, !n.AtLeast, c.limit, c.strict)
}

func (c *comparison) lasted(t event.Times, now time.Time) Verdict {
	length, exact, _ := t.Elapsed(now)
	return reaches(length, exact, c.length, c.strict)
}

func (c *comparison) word(w string) Verdict {
	rank := slices.Index(c.fact.scale, w)
	if rank < 0 {
		return Unknown
	}
	return reaches(float64(rank), true, c.limit, c.strict)
}

// site reports whether the condition speaks of a site: unknown where the report leaves
// open which of two kinds it is, one of them meant and one not.
func (c *comparison) site(s *event.Site) Verdict {
	meant := cmp.Or(c.where.sites.Set, site.All)
	switch could := site.Of(s); {
	case could&^meant == 0:
		return True
	case could&meant == 0:
		return False
	default:
		return Unknown
	}
}

func eachSite(_ *comparison, r *reading, visit func(event.Times)) {
	if s := r.facts().SiteUnreachable; s != nil {
		visit(s.Times)
	}
}

func eachDefacement(_ *comparison, r *reading, visit func(event.Times)) {
	if d := r.facts().Defacement; d != nil {
		visit(d.Times)
	}
}
