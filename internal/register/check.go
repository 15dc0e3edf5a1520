package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// index builds the look-ups and adds the faults that the schema cannot see: what must
// differ from or name something else in the register.
func (r *Register) index(doc *document.Document) {
	c := checker{doc}
	r.operators = make(map[string]*Operator, len(r.Operators))
	r.tokens = make(map[string]*Operator, len(r.Operators))
	r.desks = make(map[string]*Desk, len(r.Desks))
	if r.Acknowledge <= 0 {
		c.Fail("$.acknowledge", "must be more than no time")
	}
	if f := r.Remind; len(f) == 2 && f[1] > 0 && f[0] >= f[1] {
		c.Fail("$.remind", "must be two fractions above 0 and below 1, ascending, such as [0.5, 0.9]")
	}
	for i := range r.Desks {
		d := &r.Desks[i]
		path := fmt.Sprintf("$.desks[%d]", i)
		c.unique(path, d.ID, r.desks[d.ID] != nil)
		r.desks[d.ID] = d
		c.distinct(path, d, r.Desks[:i])
	}
	for i := range r.Operators {
		o := &r.Operators[i]
		path := fmt.Sprintf("$.operators[%d]", i)
		c.unique(path, o.ID, r.operators[o.ID] != nil)
		r.operators[o.ID] = o
		r.tokens[event.Token(o.ID)] = o
		c.operator(path, o, r.desks)
	}
	if r.desks[r.Fallback] == nil {
		c.Fail("$.fallback", "must name a desk of this register")
	}
	for i, d := range r.Desks {
		if d.Next != "" && r.desks[d.Next] == nil {
			c.Fail(fmt.Sprintf("$.desks[%d].next", i), "no desk %q", d.Next)
		}
	}
	c.circles(r)
}

// circles finds desks whose silence would lead back to them. Each circle is reported
// once, at its first desk in order.
func (c checker) circles(r *Register) {
	met := make(map[string]bool)
	for i := range r.Desks {
		var walk []string
		id := r.Desks[i].ID
		for id != "" && r.desks[id] != nil && !met[id] {
			met[id] = true
			walk = append(walk, id)
			id = r.desks[id].Next
		}
		start := slices.Index(walk, id)
		if start < 0 {
			continue
		}
		path := fmt.Sprintf("$.desks[%d].next", slices.IndexFunc(r.Desks, func(d Desk) bool { return d.ID == id }))
		if circle := walk[start:]; len(circle) == 1 {
			c.Fail(path, "%s cannot be its own next desk", id)
		} else {
			c.Fail(path, "a circle: %s → %s", strings.Join(circle, " → "), id)
		}
	}
}

type checker struct{ *document.Document }

func (c checker) unique(path, id string, taken bool) {
	if taken && id != "" {
		c.Fail(path+".id", "%q is used twice", id)
	}
}

// distinct finds a desk that cannot be told from another: a role has one desk for each
// level, region and sector, unless facilities and operators name theirs.
func (c checker) distinct(path string, d *Desk, before []Desk) {
	if d.Role == RoleProtection || d.Role == RoleOffice {
		return
	}
	for _, other := range before {
		if other.Role == d.Role && other.Level == d.Level && other.Region == d.Region &&
			other.Sector == d.Sector && home(other.Jurisdiction) == home(d.Jurisdiction) {
			c.Fail(path, "%s and %s are both the %s desk of this level and region: which one is meant?", other.ID, d.ID, d.Role)
		}
	}
}

func (c checker) operator(path string, o *Operator, desks map[string]*Desk) {
	c.hasRole(path+".office", o.Office, RoleOffice, desks)
	seen := map[string]bool{}
	for i := range o.Facilities {
		f := &o.Facilities[i]
		at := fmt.Sprintf("%s.facilities[%d]", path, i)
		f.zone, _ = statute.ParseZone(f.Zone) // the schema has checked it
		c.unique(at, f.ID, seen[f.ID])
		seen[f.ID] = true
		c.hasRole(at+".protection", f.Protection, RoleProtection, desks)
	}
}

// hasRole checks that a desk that is named has a role.
func (c checker) hasRole(path, desk, role string, desks map[string]*Desk) {
	if desk != "" && (desks[desk] == nil || desks[desk].Role != role) {
		c.Fail(path, "%q is not a desk with the role %s", desk, role)
	}
}
