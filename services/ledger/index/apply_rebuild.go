package index

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// rebuildIncident rebuilds an incident from its remaining records.
func (tx *transaction) rebuildIncident(id int64) error {
	var operator, name string
	var left bool
	err := tx.index.writer.QueryRowContext(context.Background(), `SELECT operator, incident, EXISTS (SELECT 1 FROM story WHERE incident = id)
		FROM incidents WHERE id = ?`, id).Scan(&operator, &name, &left)
	if err != nil {
		return err
	}
	inc, err := tx.incident(operator, name)
	if err != nil {
		return err
	}
	if err := tx.run("DELETE FROM desks WHERE incident = ?", id); err != nil {
		return err
	}
	if !left {
		tx.index.known.drop(inc)
		inc.desks, inc.changed = nil, false
		return tx.run("DELETE FROM incidents WHERE id = ?", id)
	}
	before := inc.record
	inc.record, inc.revision, inc.changed = 0, 0, true
	err = tx.index.writer.QueryRowContext(context.Background(), `SELECT r.record, r.revision FROM story AS s JOIN revisions AS r ON r.record = s.seq
		WHERE s.incident = ? ORDER BY r.revision DESC, r.record LIMIT 1`, id).Scan(&inc.record, &inc.revision)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if before != 0 {
		if err := tx.clearCurrent(before); err != nil {
			return err
		}
	}
	if err := tx.rebuildDesks(inc); err != nil || inc.record == 0 {
		return err
	}
	if err := tx.clearCurrent(inc.record); err != nil { // it may still have the desks of its own time
		return err
	}
	return tx.makeCurrent(inc)
}

// clearCurrent removes a revision from the answers to queries.
func (tx *transaction) clearCurrent(record uint64) error {
	if err := tx.put(extract.FlagCurrent, record, false); err != nil {
		return err
	}
	for n := range tx.index.words.Names(extract.KindTold) {
		err := errors.Join(tx.put(extract.KindTold.Term(int64(n)), record, false), tx.put(extract.KindOpenAt.Term(int64(n)), record, false))
		if err != nil {
			return err
		}
	}
	return nil
}

// rebuildDesks rebuilds the desks of an incident from the remaining escalations and
// closings.
func (tx *transaction) rebuildDesks(inc *incident) error {
	type act struct {
		record uint64
		desk   int64
		effect extract.Effect
		closes bool
	}
	var acts []act
	err := tx.query("SELECT record, desk, tells FROM told WHERE incident = ?", []any{inc.id}, func(rows *sql.Rows) error {
		var a act
		err := rows.Scan(&a.record, &a.desk, &a.effect)
		acts = append(acts, a)
		return err
	})
	if err != nil {
		return err
	}
	err = tx.query("SELECT c.record, c.desk FROM story AS s JOIN closings AS c ON c.record = s.seq WHERE s.incident = ?", []any{inc.id}, func(rows *sql.Rows) error {
		a := act{closes: true}
		err := rows.Scan(&a.record, &a.desk)
		acts = append(acts, a)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(acts, func(a, b act) int { return cmp.Compare(a.record, b.record) })
	inc.desks, inc.loaded = nil, true
	for _, a := range acts {
		if a.closes {
			d := inc.desk(a.desk)
			d.closed, d.changed = a.record, true
		} else if d := inc.desk(a.desk); a.effect >= extract.EffectInform || a.effect == extract.EffectReview && d.told > 0 {
			d.told, d.changed = a.record, true
		}
	}
	return nil
}
