package ledger

import (
	"context"
	"database/sql"
)

// rememberTail makes the chunk that is growing again from the rows of its
// records, which are few.
func (x *index) rememberTail(ctx context.Context) error {
	chunk := x.chunkOf(x.seq)
	x.tail = newTail(chunk)
	if err := x.rememberEscalations(ctx, x.recordAt(chunk, 0)); err != nil {
		return err
	}
	shown, err := x.rememberRevisions(ctx, x.recordAt(chunk, 0))
	if err != nil {
		return err
	}
	for id, record := range shown {
		if err := x.rememberDesks(id, x.positionOf(record)); err != nil {
			return err
		}
	}
	return nil
}

func (x *index) rememberEscalations(ctx context.Context, from uint64) error {
	rows, err := x.writer.QueryContext(ctx, `SELECT e.record, e.reported_at, e.acknowledge_by, e.terms, e.title,
		COALESCE(o.acknowledged, 0), COALESCE(o.acknowledged_at, 0), COALESCE(o.overdue, 0)
		FROM escalations AS e LEFT JOIN outcomes AS o ON o.record = e.record WHERE e.record >= ? ORDER BY e.record`, from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var record uint64
		var reported int64
		var by sql.NullInt64
		var raw []byte
		var title string
		var o outcome
		if err := rows.Scan(&record, &reported, &by, &raw, &title, &o.acknowledged, &o.acknowledgedAt, &o.overdue); err != nil {
			return err
		}
		terms, err := unpackTerms(raw)
		if err != nil {
			return err
		}
		p := x.positionOf(record)
		x.tail.add(p, terms, kindTitle, tokensOf(title))
		x.tail.times.add(p, reported, nullable(by))
		for _, c := range outcomeTerms(o, by) {
			x.tail.put(c.term, p, c.on)
		}
	}
	return rows.Err()
}

// rememberRevisions returns the incidents whose current revision is in the tail.
func (x *index) rememberRevisions(ctx context.Context, from uint64) (shown map[int64]uint64, err error) {
	rows, err := x.writer.QueryContext(ctx, `SELECT r.record, r.terms, r.title, i.id, i.record
		FROM revisions AS r JOIN incidents AS i ON i.id = r.incident WHERE r.record >= ? ORDER BY r.record`, from)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	shown = map[int64]uint64{}
	for rows.Next() {
		var record, current uint64
		var raw []byte
		var title string
		var id int64
		if err := rows.Scan(&record, &raw, &title, &id, &current); err != nil {
			return nil, err
		}
		terms, err := unpackTerms(raw)
		if err != nil {
			return nil, err
		}
		p := x.positionOf(record)
		x.tail.add(p, terms, kindIncidentTitle, tokensOf(title))
		if record == current {
			x.tail.put(flagCurrent, p, true)
			shown[id] = record
		}
	}
	return shown, rows.Err()
}

func (x *index) rememberDesks(incident int64, p uint16) error {
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
		x.tail.put(kindTold.term(d.number), p, d.told > 0)
		x.tail.put(kindOpenAt.term(d.number), p, d.told > d.closed)
	}
	return rows.Err()
}
