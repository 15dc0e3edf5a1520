package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// remove forgets the records that a removal names, as if they had never been in the
// stream: their effects are undone. So an escalation whose acknowledgement was removed
// counts as not acknowledged, and an incident whose last revision was removed is shown
// with the revision before it. An administrator who removes only an acknowledgement by
// order has to know that.
func (tx *transaction) remove(it *extract.Item) error {
	r := it.Removal
	if r.AppliesAt(it.Sequence) {
		if err := tx.deleteAll(r); err != nil {
			return err
		}
	}
	if r.Operator == "" || r.Incident == "" {
		return nil
	}
	inc, err := tx.incident(r.Operator, r.Incident)
	if err != nil {
		return err
	}
	return tx.addToStory(inc, it, event.KindRemoved)
}

type storyRecord struct {
	seq      uint64
	incident int64
	kind     string
}

// deleteAll deletes the records that a removal names from the whole index.
func (tx *transaction) deleteAll(removal *event.Removal) error {
	tx.index.erase = true
	if err := tx.saveAll(); err != nil { // so that the file is up to date
		return err
	}
	records, err := tx.storyRecord(removal)
	if err != nil {
		return err
	}
	var incidents []int64
	chunks := map[uint64]*postings.Set{}
	for _, r := range records {
		if err := tx.deleteOne(r); err != nil {
			return err
		}
		incidents = append(incidents, r.incident)
		chunk := tx.index.chunkOf(r.seq)
		if chunks[chunk] == nil {
			chunks[chunk] = new(postings.Set)
		}
		chunks[chunk].Add(tx.index.positionOf(r.seq))
	}
	slices.Sort(incidents)
	for _, id := range slices.Compact(incidents) {
		if err := tx.rebuildIncident(id); err != nil {
			return err
		}
	}
	if err := tx.flushPostings(); err != nil {
		return err
	}
	for chunk, gone := range chunks {
		if err := tx.deletePostings(chunk, gone); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) storyRecord(removal *event.Removal) (out []storyRecord, err error) {
	err = tx.query("SELECT seq, incident, kind FROM story WHERE seq BETWEEN ? AND ? ORDER BY seq", []any{removal.First, removal.Last()}, func(rows *sql.Rows) error {
		var s storyRecord
		var kind int
		err := rows.Scan(&s.seq, &s.incident, &kind)
		s.kind = kindName(kind)
		if _, gone := removal.Entry(s.seq); gone {
			out = append(out, s)
		}
		return err
	})
	return out, err
}

// query and run are for rare statements, which are prepared each time.
func (tx *transaction) query(text string, args []any, each func(*sql.Rows) error) error {
	rows, err := tx.index.writer.QueryContext(context.Background(), text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error { return each(rows) })
}

func (tx *transaction) run(text string, args ...any) error {
	_, err := tx.index.writer.ExecContext(context.Background(), text, args...)
	tx.index.unsaved++
	return err
}

// deleteOne deletes the rows of a record, and undoes its effect on another.
func (tx *transaction) deleteOne(r storyRecord) error {
	if err := tx.run("DELETE FROM story WHERE seq = ?", r.seq); err != nil {
		return err
	}
	switch r.kind {
	case event.KindGraded:
		return tx.run("DELETE FROM revisions WHERE record = ?", r.seq)
	case event.KindClosed:
		return tx.run("DELETE FROM closings WHERE record = ?", r.seq)
	case event.KindEscalated:
		return errors.Join(
			tx.run("DELETE FROM told WHERE incident = ? AND record = ?", r.incident, r.seq),
			tx.run("DELETE FROM escalations WHERE record = ?", r.seq),
			tx.run("DELETE FROM outcomes WHERE record = ?", r.seq))
	case event.KindAcknowledged, event.KindOverdue:
		return tx.undo(r)
	}
	return nil
}

// undo undoes the effect of an acknowledgement or an overdue record.
func (tx *transaction) undo(r storyRecord) error {
	row := tx.index.writer.QueryRowContext(context.Background(), "SELECT "+outcomeColumns+" WHERE t.incident = ?1 AND (o.acknowledged = ?2 OR o.overdue = ?2)", r.incident, r.seq)
	return tx.changeOutcome(row, func(o *outcome) bool {
		if o.acknowledged == r.seq {
			o.acknowledged, o.acknowledgedAt, o.acknowledgedBy = 0, 0, ""
		} else {
			o.overdue, o.overdueAt = 0, 0
		}
		return true
	})
}

// deletePostings deletes records from all postings of a chunk.
func (tx *transaction) deletePostings(chunk uint64, gone *postings.Set) error {
	if chunk == tx.tail.chunk {
		if tx.gone == nil {
			tx.gone = new(postings.Set)
		}
		tx.gone.Or(gone)
		return nil
	}
	changed := map[spot][]byte{}
	err := tx.query("SELECT spot, bits FROM postings WHERE spot >= ? AND spot < ?", []any{spot{chunk, 0}.number(), spot{chunk + 1, 0}.number()}, func(rows *sql.Rows) error {
		var number int64
		var raw []byte
		if err := rows.Scan(&number, &raw); err != nil {
			return err
		}
		t := spotOf(number).term
		without := (postings.List(raw)).Without
		switch t.Kind() {
		case extract.KindTitle, extract.KindIncidentTitle:
			without = postings.Bucket(raw).Without
		case extract.KindTitles:
			without = postings.Titles(raw).Without
		}
		rest, differs, err := without(gone)
		if err != nil {
			return fmt.Errorf("term %d: %w", t, err)
		}
		if differs {
			changed[spot{chunk, t}] = rest
		}
		return nil
	})
	if err != nil {
		return err
	}
	for at, raw := range changed {
		if err := tx.storePostings(at, raw); err != nil {
			return err
		}
	}
	return nil
}
