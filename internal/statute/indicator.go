package statute

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/site"
)

// indicator is one limit of one criterion, for comparison with the limits of the other
// grades.
type indicator struct {
	criterion *Criterion
	key       string // identifies the quantity and the entries that it is narrowed to
	sites     site.Set
	limit     float64
}

// indicatorsOf lists the limits that a criterion sets.
func indicatorsOf(c *Criterion) (out []indicator) {
	add := func(of site.Set, limit float64, quantity ...string) {
		key := strings.Join(strings.Fields(strings.Join(quantity, " ")), " ")
		out = append(out, indicator{c, fmt.Sprintf("%s of %v", key, c.For.About), cmp.Or(of, site.All), limit})
	}
	walk(c.When, func(part Condition) {
		switch part := part.(type) {
		case *comparison:
			if part.fact.kind == boolean || part.words != nil {
				return // no quantity
			}
			narrowed := part.where
			narrowed.sites.Text = ""
			limit := part.limit
			if part.fact.kind == duration {
				limit = float64(part.length)
			}
			add(part.where.sites.Set, limit, part.fact.path, narrowed.String(), part.currency)
		case *graded:
			add(0, float64(part.from), "graded under "+part.statute)
		case *judged:
			add(0, float64(part.from), "judged")
		}
	})
	return out
}

// indicators compares the limits of one quantity across the grades: a graver grade needs
// more, and no grade between two others may lack a limit.
func (k *checker) indicators() {
	var all []indicator
	for i := range k.pack.Criteria {
		all = append(all, indicatorsOf(&k.pack.Criteria[i])...)
	}
	grades := make(map[string][]event.Grade)
	for i, graver := range all {
		if !slices.Contains(grades[graver.key], graver.criterion.Grade) {
			grades[graver.key] = append(grades[graver.key], graver.criterion.Grade)
		}
		for j, lesser := range all {
			if i != j && graver.key == lesser.key && graver.criterion.Grade > lesser.criterion.Grade {
				k.compare(graver, lesser)
			}
		}
	}
	for _, i := range all {
		has := grades[i.key]
		if i.criterion.Grade == slices.Max(has) {
			for g := slices.Min(has); g < i.criterion.Grade; g++ {
				if !slices.Contains(has, g) {
					k.path = "criteria/" + i.criterion.ID
					k.note(SeverityWarning, "gap: %s has no limit for %s", i.key, g)
				}
			}
		}
	}
}

func (k *checker) compare(graver, lesser indicator) {
	k.path = "criteria/" + graver.criterion.ID
	if graver.limit <= lesser.limit && graver.sites&lesser.sites != 0 {
		k.note(SeverityError, "overlap: the limit of %s is not above that of %s", graver.key, lesser.criterion.ID)
	}
	if graver.sites&^lesser.sites != 0 {
		k.note(SeverityWarning, "gap: %s leaves out sites that are covered here", lesser.criterion.ID)
	}
}
