package register

import (
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// Party returns the id of the party that a statute names in the case of an operator's
// facility: the operator itself, or a desk.
func (r *Register) Party(p statute.Party, o *Operator, f *Facility) (string, error) {
	if p.Role == statute.RoleOperator {
		return o.ID, nil
	}
	d, err := r.Resolve(string(p.Role), string(p.Level), o, f)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

// Case describes facilities of an operator in the terms of a statute, or names the ones
// that are not registered.
func (o *Operator) Case(facilities []string, report event.Report) (statute.Case, error) {
	c := statute.Case{Operator: o.unit(), Report: report}
	for _, id := range facilities {
		f, ok := o.Facility(id)
		if !ok {
			return c, fmt.Errorf("%s has no facility %q in the register", o.ID, id)
		}
		c.Facilities = append(c.Facilities, f.thing())
	}
	return c, nil
}

func (o *Operator) unit() statute.Operator {
	return statute.Operator{Level: statute.Level(o.Level), Central: o.Central}
}

func (f *Facility) thing() statute.Facility {
	return statute.Facility{ID: f.ID, Region: f.Region, Sector: f.Sector, CII: f.CII}
}

// CheckDuties checks the register against packs: every duty that can apply to a
// registered facility must have both its parties, and a desk that forwards automatically
// must have authorised it. All faults are reported at once.
func (r *Register) CheckDuties(packs *statute.Set) error {
	c := &checker{}
	for i := range r.Operators {
		o := &r.Operators[i]
		for j := range o.Facilities {
			path := fmt.Sprintf("$.operators[%d].facilities[%d]", i, j)
			for _, p := range packs.Packs() {
				for k := range p.Duties {
					r.checkDuty(c, path, p, &p.Duties[k], o, &o.Facilities[j])
				}
			}
		}
	}
	if len(c.faults) > 0 {
		faults := slices.CompactFunc(c.faults, func(a, b fault.Detail) bool { return a == b })
		document.Locate(r.Raw, faults)
		return fault.Invalid("register", faults)
	}
	return nil
}

func (r *Register) checkDuty(c *checker, path string, p *statute.Pack, d *statute.DutyRule, o *Operator, f *Facility) {
	if d.Manual || !d.CanFallOn(o.unit(), f.thing()) {
		return
	}
	if _, err := r.Party(d.To, o, f); err != nil {
		c.add(path, "nobody can receive the duty %s/%s: %v", p.ID, d.ID, err)
	}
	from, err := r.Party(d.From, o, f)
	if err != nil {
		c.add(path, "nobody can carry out the duty %s/%s: %v", p.ID, d.ID, err)
		return
	}
	if desk, ok := r.Desk(from); ok && desk.Forward == "" {
		c.add(path, "the duty %s/%s is passed on by %s, which authorises no forward", p.ID, d.ID, from)
	}
}
