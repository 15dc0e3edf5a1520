package index

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// loadTail rebuilds the growing chunk from the rows of its records, which are few.
func (x *Index) loadTail(ctx context.Context) error {
	chunk := x.chunkOf(x.seq)
	x.tail = newTail(chunk)
	if err := x.loadEscalations(ctx, x.recordAt(chunk, 0)); err != nil {
		return err
	}
	shown, err := x.loadRevisions(ctx, x.recordAt(chunk, 0))
	if err != nil {
		return err
	}
	slices.SortFunc(x.tail.titles, func(a, b titled) int { return cmp.Compare(a.at, b.at) })
	for id, record := range shown {
		if err := x.loadTailDesks(id, x.positionOf(record)); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) loadEscalations(ctx context.Context, from uint64) error {
	rows, err := x.writer.QueryContext(ctx, `SELECT e.record, e.row, COALESCE(o.acknowledged, 0), COALESCE(o.acknowledged_at, 0), COALESCE(o.overdue, 0)
		FROM escalations AS e LEFT JOIN outcomes AS o ON o.record = e.record WHERE e.record >= ? ORDER BY e.record`, from)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var record uint64
		var raw sql.RawBytes
		var o outcome
		if err := rows.Scan(&record, &raw, &o.acknowledged, &o.acknowledgedAt, &o.overdue); err != nil {
			return err
		}
		e, err := extract.EscalationOfRow(record, raw)
		if err != nil {
			return err
		}
		if err := x.loadEntry(record, extract.KindTitle, &e.Entry); err != nil {
			return err
		}
		x.tail.times.Add(x.positionOf(record), e.Reported, e.By)
		for _, c := range outcomeTerms(o, e.By, e.Effect) {
			x.tail.put(c.term, x.positionOf(record), c.on)
		}
		return nil
	})
}

// loadEntry adds a record to the tail as when it was indexed.
func (x *Index) loadEntry(record uint64, title extract.Kind, e *extract.Entry) error {
	terms, err := x.words.TermsOf(e)
	if err != nil {
		return err
	}
	x.tail.add(x.positionOf(record), terms, title, e)
	return nil
}

// loadRevisions returns the incidents whose current revision is in the tail.
func (x *Index) loadRevisions(ctx context.Context, from uint64) (shown map[int64]uint64, err error) {
	rows, err := x.writer.QueryContext(ctx, `SELECT r.record, r.row, i.id, i.record, i.operator
		FROM revisions AS r JOIN incidents AS i ON i.id = r.incident WHERE r.record >= ? ORDER BY r.record`, from)
	if err != nil {
		return nil, err
	}
	shown = map[int64]uint64{}
	return shown, eachRow(rows, func() error {
		var record, current uint64
		var raw sql.RawBytes
		var id int64
		var operator string
		if err := rows.Scan(&record, &raw, &id, &current, &operator); err != nil {
			return err
		}
		r, err := extract.RevisionOfRow(record, raw, operator)
		if err != nil {
			return err
		}
		if err := x.loadEntry(record, extract.KindIncidentTitle, &r.Entry); err != nil {
			return err
		}
		if record == current {
			x.tail.put(extract.FlagCurrent, x.positionOf(record), true)
			shown[id] = record
		}
		return nil
	})
}

func (x *Index) loadTailDesks(incident int64, p uint16) error {
	rows, err := x.prepared[selectDesks].Query(incident)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var d desk
		if err := rows.Scan(&d.number, &d.told, &d.closed); err != nil {
			return err
		}
		x.tail.put(extract.KindTold.Term(d.number), p, d.told > 0)
		x.tail.put(extract.KindOpenAt.Term(d.number), p, d.told > d.closed)
		return nil
	})
}
