package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// Incidents returns one page of incidents, each with its last revision. One that is
// revised meanwhile appears on a later page again, and is never left out.
func (x *Index) Incidents(ctx context.Context, q api.IncidentQuery) (api.IncidentAnswer, error) {
	x.mu.RLock()
	scope := identity.Of(ctx).Scope()
	p, faults := incidentPlanOf(x.words, q, scope)
	x.mu.RUnlock()
	if faults != nil {
		return api.IncidentAnswer{}, fault.Invalid("ledger: incidents", faults)
	}
	var out api.IncidentAnswer
	err := x.ask(ctx, lanes, p.moving, func(r *reader) error {
		if q.Incident != "" {
			named, err := r.named(tokenOf(q.Operator), event.Token(q.Incident))
			if err != nil {
				return err
			}
			p.clauses = slices.Insert(p.clauses, 0, named)
		}
		var err error
		out.Rows, out.Next, err = pageOf(ctx, r, &p, q.Limit, (*lane).incident)
		return err
	})
	if err != nil {
		return api.IncidentAnswer{}, fmt.Errorf("ledger: incidents: %w", err)
	}
	return out, nil
}

func incidentPlanOf(v *extract.Vocabulary, q api.IncidentQuery, s identity.Scope) (plan, []fault.Detail) {
	p, grade, faults := newPlan(q.Cursor, q.Grade)
	p.title(extract.KindIncidentTitle, q.Text, &faults)
	if s.Operator != "" && q.Desk != "" {
		q.Open = false // operators do not see what a desk has closed
	}
	if s.Desk != "" && q.Desk != "" && q.Desk != s.Desk {
		p.any(nil) // desks do not see what another was told
	} else if q.Desk != "" {
		told, known := v.Term(extract.Named{Kind: extract.KindTold, Value: event.Token(q.Desk)})
		switch {
		case !known:
			p.any(nil)
		case q.Open:
			p.term(extract.KindOpenAt.Term(told.Number()))
		default:
			p.term(told)
		}
	}
	if q.Owed {
		p.term(extract.FlagOwed)
	}
	if q.Operator != "" {
		p.named(v, extract.KindIncidentOperator, event.Token(q.Operator))
	}
	if q.Grade != "" {
		p.named(v, extract.KindIncidentGrade, grade.String())
	}
	if q.Open {
		p.term(extract.FlagUpheld)
	}
	p.incidentScope(v, s)
	p.term(extract.FlagCurrent)
	return p, faults
}

// named returns a clause for incidents with a name, which several operators may use:
// those of the operator, if one is given. Both are tokens.
func (r *reader) named(operator, incident string) (clause, error) {
	rows, err := r.rows(lookNamed, incident)
	if err != nil {
		return nil, err
	}
	found := map[uint64]*postings.Set{}
	err = eachRow(rows, func() error {
		var of string
		var record uint64
		if err := rows.Scan(&of, &record); err != nil || record == 0 || operator != "" && of != operator {
			return err
		}
		chunk := r.index.chunkOf(record)
		if found[chunk] == nil {
			found[chunk] = new(postings.Set)
		}
		found[chunk].Add(r.index.positionOf(record))
		return nil
	})
	return func(_ *reader, at place, s *postings.Set) error {
		if have := found[at.chunk]; have != nil {
			s.And(have)
		} else {
			*s = postings.Set{}
		}
		return nil
	}, err
}

// tokenOf returns the token of an id, or "" for "".
func tokenOf(id string) string {
	if id == "" {
		return ""
	}
	return event.Token(id)
}

func (l *lane) incident(record uint64) (row api.IncidentRow, bytes int, err error) {
	var raw []byte
	var id int64
	if err := l.row(lookRevision, record).Scan(&id, &raw); err != nil {
		return row, 0, noRow(err, record)
	}
	if row, bytes, err = extract.IncidentRow(record, raw); err != nil {
		return row, 0, err
	}
	more, err := l.desks(id, &row)
	return row, bytes + more, err
}

func (l *lane) desks(id int64, row *api.IncidentRow) (bytes int, err error) {
	rows, err := l.rows(lookDesks, id)
	if err != nil {
		return 0, err
	}
	type closed struct {
		record  uint64
		closing api.Closing
	}
	var closings []closed
	row.Desks = []string{}
	err = eachRow(rows, func() error {
		var d desk
		var raw string
		if err := rows.Scan(&d.number, &d.told, &d.closed, &raw); err != nil {
			return err
		}
		if d.told > 0 {
			name := l.index.nameOf(extract.KindTold.Term(d.number))
			row.Desks, bytes = append(row.Desks, name), bytes+len(name)
		}
		if d.closed > d.told {
			c := closed{record: d.closed}
			if err := json.Unmarshal([]byte(raw), &c.closing, event.JSON); err != nil {
				return fmt.Errorf("%w: the closing %d: %w", postings.ErrDamaged, d.closed, err)
			}
			closings, bytes = append(closings, c), bytes+len(raw)
		}
		return nil
	})
	slices.Sort(row.Desks)
	slices.SortFunc(closings, func(a, b closed) int { return cmp.Compare(a.record, b.record) })
	for _, c := range closings {
		row.ClosedBy = append(row.ClosedBy, c.closing)
	}
	return bytes, err
}

func (x *Index) nameOf(t extract.Term) string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if names := x.words.Names(t.Kind()); t.Number() < int64(len(names)) {
		return names[t.Number()]
	}
	return ""
}
