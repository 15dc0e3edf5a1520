package index

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// scope adds clauses that limit a query to what an identity may see.
func (p *plan) scope(v *extract.Vocabulary, s identity.Scope) {
	if s.None {
		p.any(nil)
	}
	p.named(v, extract.KindOperator, s.Operator)
	p.named(v, extract.KindDesk, s.Desk)
	p.place(v, s, extract.KindArea, extract.KindSector, extract.KindPlace)
}

// place adds clauses for the area and the sector of a facility: both must be of the same
// facility.
func (p *plan) place(v *extract.Vocabulary, s identity.Scope, area, sector, both extract.Kind) {
	code := ""
	if s.Region != "" {
		code = regionPrefix(s.Region)
	}
	if code != "" && s.Sector != "" {
		p.named(v, both, extract.Place(code, s.Sector))
		return
	}
	p.named(v, area, code)
	p.named(v, sector, s.Sector)
}

// incidentScope is scope for incidents.
func (p *plan) incidentScope(v *extract.Vocabulary, s identity.Scope) {
	if s.None {
		p.any(nil)
	}
	p.named(v, extract.KindIncidentOperator, s.Operator)
	p.named(v, extract.KindTold, s.Desk)
	p.place(v, s, extract.KindIncidentArea, extract.KindIncidentSector, extract.KindIncidentPlace)
}

// Shows reports whether an identity may see an incident, given by its tokens. An incident
// that could not be graded yet is not shown, for its facilities are not known.
func (x *Index) Shows(ctx context.Context, s identity.Scope, operator, incident string) (shown bool, err error) {
	var p plan
	x.mu.RLock()
	p.incidentScope(x.words, s)
	x.mu.RUnlock()
	p.term(extract.FlagCurrent)
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
		return false, fmt.Errorf("ledger: scope: %w", err)
	}
	return shown, nil
}
