package register

import (
	"cmp"
	"fmt"

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
	if p.Of == statute.RoleOperator {
		f = o.seat(f)
	}
	d, err := r.Resolve(string(p.Role), string(p.Level), o, f)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

// seat returns the facility as if it lay where the operator is. An operator whose place is
// not registered is where the facility is.
func (o *Operator) seat(f *Facility) *Facility {
	at := *f
	at.Region = cmp.Or(o.Region, f.Region)
	return &at
}

// Facilities returns every registered facility in the terms of a statute.
func (r *Register) Facilities() (all []statute.Facility) {
	for i := range r.Operators {
		for j := range r.Operators[i].Facilities {
			all = append(all, r.Operators[i].Facilities[j].Terms())
		}
	}
	return all
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
		c.Facilities = append(c.Facilities, f.Terms())
	}
	return c, nil
}

func (o *Operator) unit() statute.Operator {
	return statute.Operator{Level: statute.Level(o.Level), Central: o.Central, Attributes: o.Attributes}
}

// Terms describes the facility in the terms of a statute.
func (f *Facility) Terms() statute.Facility {
	return statute.Facility{
		ID: f.ID, Region: f.Region, Sector: f.Sector, CII: f.CII,
		Jurisdiction: f.Jurisdiction, Zone: f.zone, Calendar: f.Calendar,
	}
}

// CheckDuties checks the register against packs: every duty that can apply to a
// registered facility must have both its parties, and a desk that forwards automatically
// must have authorised it; operators have only attributes that a pack declares, and
// facilities only calendars that were read with the packs. All
// faults are reported at once.
func (r *Register) CheckDuties(packs *statute.Set) error {
	var faults []fault.Detail
	for i := range r.Operators {
		o := &r.Operators[i]
		for _, f := range packs.CheckAttributes(o.Attributes) {
			faults = append(faults, fault.Detail{Path: fmt.Sprintf("$.operators[%d].%s", i, f.Path), Message: f.Message})
		}
		for j := range o.Facilities {
			path := fmt.Sprintf("$.operators[%d].facilities[%d]", i, j)
			if id := o.Facilities[j].Calendar; id != "" && !packs.HasCalendar(id) {
				faults = append(faults, fault.Detail{Path: path + ".calendar", Message: fmt.Sprintf("no calendar %q beside the packs", id)})
			}
			for _, p := range packs.Packs() {
				for k := range p.Duties {
					if why := r.checkDuty(p, &p.Duties[k], o, &o.Facilities[j]); why != "" {
						faults = append(faults, fault.Detail{Path: path, Message: why})
					}
				}
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	doc := document.Open(r.Raw, maxBytes)
	for _, f := range faults {
		doc.Fail(f.Path, "%s", f.Message)
	}
	return fault.Invalid("register", doc.Faults())
}

// checkDuty returns what prevents a duty that can apply to a facility from being carried
// out, or "".
func (r *Register) checkDuty(p *statute.Pack, d *statute.DutyRule, o *Operator, f *Facility) string {
	if d.Manual || !d.CanFallOn(o.unit(), f.Terms()) {
		return ""
	}
	if _, err := r.Party(d.To, o, f); err != nil {
		return fmt.Sprintf("nobody can receive the duty %s/%s: %v", p.ID, d.ID, err)
	}
	from, err := r.Party(d.From, o, f)
	if err != nil {
		return fmt.Sprintf("nobody can carry out the duty %s/%s: %v", p.ID, d.ID, err)
	}
	if desk, ok := r.Desk(from); ok && desk.Forward == "" {
		return fmt.Sprintf("the duty %s/%s is passed on by %s, which authorises no forward", p.ID, d.ID, from)
	}
	return ""
}
