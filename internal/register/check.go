package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// index builds the look-ups and returns every fault of the register itself.
func (r *Register) index() []fault.Detail {
	c := &checker{}
	r.operators = make(map[string]*Operator, len(r.Operators))
	r.tokens = make(map[string]*Operator, len(r.Operators))
	r.desks = make(map[string]*Desk, len(r.Desks))
	if r.Acknowledge <= 0 {
		c.add("$.acknowledge", "is required: the house's target for acknowledgements, such as PT30M")
	}
	for i := range r.Desks {
		d := &r.Desks[i]
		path := fmt.Sprintf("$.desks[%d]", i)
		c.unique(path, d.ID, r.desks[d.ID] != nil)
		r.desks[d.ID] = d
		c.desk(path, d)
		c.alone(path, d, r.Desks[:i])
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
		c.add("$.fallback", "must name a desk of this register")
	}
	for i, d := range r.Desks {
		if d.Next != "" && r.desks[d.Next] == nil {
			c.add(fmt.Sprintf("$.desks[%d].next", i), "no desk %q", d.Next)
		}
	}
	c.circles(r)
	c.remind(r.Remind)
	return c.faults
}

// circles finds desks whose silence would lead back to them. Each circle is reported
// once, at its first desk in order.
func (c *checker) circles(r *Register) {
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
			c.add(path, "%s cannot be its own next desk", id)
		} else {
			c.add(path, "a circle: %s → %s", strings.Join(circle, " → "), id)
		}
	}
}

// remind requires two fractions: the first reminds, and at the last the system acts.
func (c *checker) remind(f []float64) {
	if len(f) != 2 || !(f[0] > 0 && f[0] < f[1] && f[1] < 1) { // NaN is not a fraction either
		c.add("$.remind", "must be two fractions above 0 and below 1, ascending, such as [0.5, 0.9]")
	}
}

type checker struct{ faults []fault.Detail }

func (c *checker) add(path, format string, args ...any) {
	c.faults = append(c.faults, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) unique(path, id string, taken bool) {
	if !idPattern.MatchString(id) {
		c.add(path+".id", "must match [A-Za-z0-9_-]{1,64}, got %q", id)
	}
	if taken {
		c.add(path+".id", "%q is used twice", id)
	}
}

func (c *checker) level(path, level string) {
	if _, ok := regionDigits[level]; !ok {
		c.add(path+".level", "must be national, province, prefecture or county, got %q", level)
	}
}

func (c *checker) desk(path string, d *Desk) {
	if !slices.Contains([]string{RoleProtection, RoleCyberspace, RoleOffice, RolePublicSecurity}, d.Role) {
		c.add(path+".role", "must be cyberspace, public-security, protection or cyberspace-office, got %q", d.Role)
	}
	c.level(path, d.Level)
	if d.Level != "national" && !regionPattern.MatchString(d.Region) {
		c.add(path+".region", "a desk below the national level needs a GB/T 2260 code of six digits")
	}
	switch d.Forward {
	case "":
	case forwardAutomatic, ForwardConfirm:
		// A forward that nobody confirms in time is sent automatically as well.
		if d.Authority == "" {
			c.add(path+".authority", "forward: %s needs the document that authorises it", d.Forward)
		}
	default:
		c.add(path+".forward", "must be automatic or confirm, got %q", d.Forward)
	}
}

// alone finds a desk that cannot be told from another: cyberspace and public security
// have one desk for each level and region.
func (c *checker) alone(path string, d *Desk, before []Desk) {
	if d.Role != RoleCyberspace && d.Role != RolePublicSecurity {
		return
	}
	for _, other := range before {
		if other.Role == d.Role && other.Level == d.Level && other.Region == d.Region {
			c.add(path, "%s and %s are both the %s desk of this level and region: which one is meant?", other.ID, d.ID, d.Role)
		}
	}
}

func (c *checker) operator(path string, o *Operator, desks map[string]*Desk) {
	c.level(path, o.Level)
	if o.Central != (o.Office != "") {
		c.add(path+".office", "a central organ, and only a central organ, names the desk of its own cyberspace body")
	}
	if o.Office != "" && (desks[o.Office] == nil || desks[o.Office].Role != RoleOffice) {
		c.add(path+".office", "%q is not a desk with the role cyberspace-office", o.Office)
	}
	if len(o.Facilities) == 0 {
		c.add(path+".facilities", "at least one is required")
	}
	seen := map[string]bool{}
	for i, f := range o.Facilities {
		at := fmt.Sprintf("%s.facilities[%d]", path, i)
		c.unique(at, f.ID, seen[f.ID])
		seen[f.ID] = true
		c.facility(at, f, desks)
	}
}

func (c *checker) facility(path string, f Facility, desks map[string]*Desk) {
	if f.Classified {
		c.add(path+".classified", "matters of state secrecy go other ways (Decree 745 art. 50): such a facility cannot be registered")
	}
	if !regionPattern.MatchString(f.Region) {
		c.add(path+".region", "must be a GB/T 2260 code of six digits, got %q", f.Region)
	}
	if f.Sector == "" {
		c.add(path+".sector", "is required")
	}
	// CII and protection department go together: art. 18 knows no CII without one.
	if f.CII != (f.Protection != "") {
		c.add(path+".protection", "a facility that is CII, and only such a one, names its protection department")
	}
	if f.Protection != "" && (desks[f.Protection] == nil || desks[f.Protection].Role != RoleProtection) {
		c.add(path+".protection", "%q is not a desk with the role protection", f.Protection)
	}
}
