package index

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// sight adds clauses that limit a query to what an identity may see.
func (p *plan) sight(v *vocabulary, s identity.Sight) {
	if s.None {
		p.any(nil)
	}
	p.named(v, kindOperator, s.Operator)
	p.named(v, kindDesk, s.Desk)
	p.place(v, s, kindArea, kindSector, kindPlace)
}

// place adds clauses for the area and the sector of a facility: both must be of the same
// facility.
func (p *plan) place(v *vocabulary, s identity.Sight, area, sector, both kind) {
	code := ""
	if s.Region != "" {
		code = regionPrefix(s.Region)
	}
	if code != "" && s.Sector != "" {
		p.named(v, both, placeOf(code, s.Sector))
		return
	}
	p.named(v, area, code)
	p.named(v, sector, s.Sector)
}

func placeOf(area, sector string) string { return area + "|" + sector }

// incidentSight is sight for incidents.
func (p *plan) incidentSight(v *vocabulary, s identity.Sight) {
	if s.None {
		p.any(nil)
	}
	p.named(v, kindIncidentOperator, s.Operator)
	p.named(v, kindTold, s.Desk)
	p.place(v, s, kindIncidentArea, kindIncidentSector, kindIncidentPlace)
}

// Shows reports whether an identity may see an incident, given by its tokens. An incident
// that could not be graded yet is not shown, for its facilities are not known.
func (x *Index) Shows(ctx context.Context, s identity.Sight, operator, incident string) (shown bool, err error) {
	var p plan
	x.mu.RLock()
	p.incidentSight(x.words, s)
	x.mu.RUnlock()
	p.term(flagCurrent)
	err = x.ask(ctx, 1, p.moving, func(r *reader) error {
		named, err := r.named(operator, incident)
		if err != nil {
			return err
		}
		p.clauses = slices.Insert(p.clauses, 0, named)
		_, err = p.each(ctx, r, pageTitles, func(uint64) (bool, error) {
			shown = true
			return false, nil
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("ledger: sight: %w", err)
	}
	return shown, nil
}
