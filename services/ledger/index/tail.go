package index

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
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
		var says saying
		err := x.rememberEntry(record, raw, kindTitle, func(s event.Stored) (*entry, error) {
			e, err := escalationOf(s)
			if err != nil {
				return nil, err
			}
			if e.by != nil {
				by = sql.NullInt64{Int64: *e.by, Valid: true}
			}
			says = e.says
			x.tail.times.Add(x.positionOf(record), e.reported, e.by)
			return &e.entry, nil
		})
		if err != nil {
			return err
		}
		for _, c := range outcomeTerms(o, by, says) {
			x.tail.put(c.term, x.positionOf(record), c.on)
		}
	}
	return rows.Err()
}

// rememberEntry adds a record to the tail as when it was indexed.
func (x *Index) rememberEntry(record uint64, raw []byte, title kind, read func(event.Stored) (*entry, error)) error {
	plain, err := s2.Decode(nil, raw)
	if err != nil {
		return fmt.Errorf("%w: a row: %w", postings.ErrDamaged, err)
	}
	e, err := read(event.Stored{Record: event.Record{Data: plain}, Sequence: record})
	if err != nil {
		return fmt.Errorf("%w: a row: %w", postings.ErrDamaged, err)
	}
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
		err := x.rememberEntry(record, raw, kindIncidentTitle, func(s event.Stored) (*entry, error) {
			r, err := revisionOf(s, operator)
			if err != nil {
				return nil, err
			}
			return &r.entry, nil
		})
		if err != nil {
			return nil, err
		}
		if record == current {
			x.tail.put(flagCurrent, x.positionOf(record), true)
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
		x.tail.put(kindTold.term(d.number), p, d.told > 0)
		x.tail.put(kindOpenAt.term(d.number), p, d.told > d.closed)
	}
	return rows.Err()
}
