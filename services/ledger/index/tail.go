package index

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// rememberTail rebuilds the growing chunk from the rows of its records, which are few.
func (x *Index) rememberTail(ctx context.Context) error {
	chunk := x.chunkOf(x.seq)
	x.tail = newTail(chunk)
	if err := x.rememberEscalations(ctx, x.recordAt(chunk, 0)); err != nil {
		return err
	}
	shown, err := x.rememberRevisions(ctx, x.recordAt(chunk, 0))
	if err != nil {
		return err
	}
	slices.SortFunc(x.tail.titles, func(a, b titled) int { return cmp.Compare(a.at, b.at) })
	for id, record := range shown {
		if err := x.rememberDesks(id, x.positionOf(record)); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) rememberEscalations(ctx context.Context, from uint64) error {
	rows, err := x.writer.QueryContext(ctx, `SELECT e.record, e.row, COALESCE(o.acknowledged, 0), COALESCE(o.acknowledged_at, 0), COALESCE(o.overdue, 0)
		FROM escalations AS e LEFT JOIN outcomes AS o ON o.record = e.record WHERE e.record >= ? ORDER BY e.record`, from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var record uint64
		var raw sql.RawBytes
		var o outcome
		if err := rows.Scan(&record, &raw, &o.acknowledged, &o.acknowledgedAt, &o.overdue); err != nil {
			return err
		}
		var by sql.NullInt64
		e, err := extract.EscalationOfRow(record, raw)
		if err != nil {
			return err
		}
		if err := x.rememberEntry(record, extract.KindTitle, &e.Entry); err != nil {
			return err
		}
		if e.By != nil {
			by = sql.NullInt64{Int64: *e.By, Valid: true}
		}
		x.tail.times.Add(x.positionOf(record), e.Reported, e.By)
		for _, c := range outcomeTerms(o, by, e.Says) {
			x.tail.put(c.term, x.positionOf(record), c.on)
		}
	}
	return rows.Err()
}

// rememberEntry adds a record to the tail as when it was indexed.
func (x *Index) rememberEntry(record uint64, title extract.Kind, e *extract.Entry) error {
	terms, err := x.words.termsOf(e)
	if err != nil {
		return err
	}
	x.tail.add(x.positionOf(record), terms, title, e)
	return nil
}

// rememberRevisions returns the incidents whose current revision is in the tail.
func (x *Index) rememberRevisions(ctx context.Context, from uint64) (shown map[int64]uint64, err error) {
	rows, err := x.writer.QueryContext(ctx, `SELECT r.record, r.row, i.id, i.record, i.operator
		FROM revisions AS r JOIN incidents AS i ON i.id = r.incident WHERE r.record >= ? ORDER BY r.record`, from)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	shown = map[int64]uint64{}
	for rows.Next() {
		var record, current uint64
		var raw sql.RawBytes
		var id int64
		var operator string
		if err := rows.Scan(&record, &raw, &id, &current, &operator); err != nil {
			return nil, err
		}
		r, err := extract.RevisionOfRow(record, raw, operator)
		if err != nil {
			return nil, err
		}
		if err := x.rememberEntry(record, extract.KindIncidentTitle, &r.Entry); err != nil {
			return nil, err
		}
		if record == current {
			x.tail.put(extract.FlagCurrent, x.positionOf(record), true)
			shown[id] = record
		}
	}
	return shown, rows.Err()
}

func (x *Index) rememberDesks(incident int64, p uint16) error {
	rows, err := x.prepared[selectDesks].Query(incident)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d desk
		if err := rows.Scan(&d.number, &d.told, &d.closed); err != nil {
			return err
		}
		x.tail.put(extract.KindTold.Term(d.number), p, d.told > 0)
		x.tail.put(extract.KindOpenAt.Term(d.number), p, d.told > d.closed)
	}
	return rows.Err()
}
