package register

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/statute"
)

// regionDigits is how many digits of a GB/T 2260 code name a region of each level.
var regionDigits = map[string]int{"national": 0, "province": 2, "prefecture": 4, "county": 6}

// Resolve returns the desk that has a role for an operator's facility, or an error that
// names what is missing.
func (r *Register) Resolve(role, level string, o *Operator, f *Facility) (*Desk, error) {
	id := ""
	switch role {
	case RoleProtection:
		id = f.Protection
	case RoleOffice:
		id = o.Office
	default:
		return r.authority(role, level, o, f)
	}
	if d, ok := r.desks[id]; ok && d.Role == role {
		return d, nil
	}
	return nil, fmt.Errorf("no %s desk is registered for it", role)
}

// authority returns the desk of a role whose jurisdiction, level, region and sector cover
// the facility. Of several the one for the sector comes first, then the one for the
// smallest region.
func (r *Register) authority(role, level string, o *Operator, f *Facility) (*Desk, error) {
	if level == LevelOwn {
		level = o.Level
	}
	if _, known := regionDigits[level]; level != "" && !known {
		return nil, fmt.Errorf("level %q of %s is unknown", level, role)
	}
	var best, other *Desk
	for i := range r.Desks {
		d := &r.Desks[i]
		if d.Role != role || level != "" && d.Level != level || !d.covers(f) {
			continue
		}
		switch {
		case best == nil || d.closeness() > best.closeness():
			best, other = d, nil
		case d.closeness() == best.closeness():
			other = d
		}
	}
	switch {
	case best == nil:
		return nil, fmt.Errorf("no desk of %s", whose(role, level, f))
	case other != nil:
		return nil, fmt.Errorf("%s and %s are both the desk of %s: which one is meant?", best.ID, other.ID, whose(role, level, f))
	}
	return best, nil
}

// whose describes a desk that is looked for.
func whose(role, level string, f *Facility) string {
	text := role
	if level != "" {
		text += " at level " + level
	}
	if home(f.Jurisdiction) != statute.Home {
		text += " in " + f.Jurisdiction
	}
	return text + " covers region " + f.Region
}

func home(jurisdiction string) string { return cmp.Or(jurisdiction, statute.Home) }

// covers reports whether the desk is an authority for the facility.
func (d *Desk) covers(f *Facility) bool {
	if home(d.Jurisdiction) != home(f.Jurisdiction) || d.Sector != "" && d.Sector != f.Sector {
		return false
	}
	if home(d.Jurisdiction) != statute.Home {
		return d.Region == "" || f.Region == d.Region || strings.HasPrefix(f.Region, d.Region+"-")
	}
	digits := regionDigits[d.Level]
	return digits == 0 || strings.HasPrefix(f.Region, d.Region[:digits])
}

// closeness orders the desks that cover one facility: the narrowest has the most.
func (d *Desk) closeness() int {
	n := regionDigits[d.Level]
	if home(d.Jurisdiction) != statute.Home {
		n = len(d.Region)
	}
	if d.Sector != "" {
		n += 100
	}
	return n
}

// Jurisdictions returns those of the registered facilities.
func (r *Register) Jurisdictions() []string {
	seen := map[string]bool{}
	var out []string
	for i := range r.Operators {
		for _, f := range r.Operators[i].Facilities {
			if j := home(f.Jurisdiction); !seen[j] {
				seen[j] = true
				out = append(out, j)
			}
		}
	}
	return out
}
