package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// statement is one of the prepared statements by which records are indexed.
type statement int

const (
	insertStory statement = iota
	insertIncident
	updateIncident
	insertRevision
	insertTold
	insertEscalation
	selectOutcome
	putOutcome
	selectIncidents
	selectDesks
	putDesk
	insertClosing
	insertTerm
	selectPostings
	putPostings
	dropPostings
	insertChunk
	movePosition
	statements // number of statements
)

// bulk are the statements whose rows are not read before they are committed, with the
// number of values in a row. Many rows go in one statement, since a statement costs more
// than the rows it inserts.
var bulk = [statements]int{insertStory: 4, insertIncident: 5, insertRevision: 4}

const (
	rowsAtOnce  = 32
	namesAtOnce = 32 // incidents looked up at once
)

// rowsOf returns the SQL text of rows of so many values each.
func rowsOf(values, rows int) string {
	row := "(?" + strings.Repeat(", ?", values-1) + ")"
	return row + strings.Repeat(", "+row, rows-1)
}

var statementTexts = [statements]string{
	insertStory:    "INSERT INTO story VALUES ",
	insertIncident: "INSERT INTO incidents VALUES ",
	updateIncident: "UPDATE incidents SET record = ?, revision = ? WHERE id = ?",
	insertRevision: "INSERT INTO revisions VALUES ",
	// Of two under one name the first counts. The stream takes only one, but may take
	// another once the first was removed.
	insertTold:       "INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?, ?, ?)",
	insertEscalation: "INSERT INTO escalations VALUES (?, ?, ?, ?)",
	selectOutcome:    "SELECT " + outcomeColumns + " WHERE t.incident = ? AND t.desk = ? AND t.last = ?",
	putOutcome:       "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
	selectIncidents: "WITH asked (incident, operator) AS (VALUES " + rowsOf(2, namesAtOnce) + `)
		SELECT i.incident, i.operator, i.id, i.record, i.revision FROM asked CROSS JOIN incidents AS i USING (incident, operator)`,
	selectDesks:    "SELECT desk, told, closed FROM desks WHERE incident = ?",
	putDesk:        "INSERT OR REPLACE INTO desks VALUES (?, ?, ?, ?)",
	insertClosing:  "INSERT INTO closings VALUES (?, ?, ?)",
	insertTerm:     "INSERT INTO terms VALUES (?, ?)",
	selectPostings: "SELECT bits FROM postings WHERE spot = ?",
	putPostings:    "INSERT OR REPLACE INTO postings VALUES (?, ?)",
	dropPostings:   "DELETE FROM postings WHERE spot = ?",
	insertChunk:    "INSERT INTO chunks VALUES (?, ?)",
	movePosition:   "UPDATE position SET seq = ?, salt = ?",
}

// MaxBatch bounds the records of one transaction.
const MaxBatch = 4096

// Write adds items in ledger order, each chunk's in a transaction of its own.
func (x *Index) Write(ctx context.Context, items []extract.Item) (unreadable []error, err error) {
	for len(items) > 0 {
		if ctx.Err() != nil {
			return unreadable, ctx.Err()
		}
		n := 1
		for n < min(len(items), MaxBatch) && x.chunkOf(items[n].Sequence) == x.chunkOf(items[0].Sequence) {
			n++
		}
		if err := x.commit(ctx, items[:n]); err != nil {
			return unreadable, err
		}
		for _, it := range items[:n] {
			if it.Err != nil {
				unreadable = append(unreadable, it.Err)
			}
		}
		items = items[n:]
	}
	return unreadable, x.checkpoint(ctx)
}

// commit writes items of one chunk in one transaction. A failed one leaves no trace, not
// in memory either.
func (x *Index) commit(ctx context.Context, items []extract.Item) (err error) {
	if _, err := x.writer.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		_, _ = x.writer.ExecContext(context.Background(), "ROLLBACK") // SQLite may have ended the transaction itself
		x.mu.Lock()
		defer x.mu.Unlock()
		err = errors.Join(err, x.loadMemory(context.WithoutCancel(ctx)))
	}()
	tx := newTransaction(x)
	if err := tx.startChunk(x.chunkOf(items[0].Sequence)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if err := tx.preload(items); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	for i := range items {
		if err := tx.add(&items[i]); err != nil {
			return fmt.Errorf("ledger: index record %d: %w", items[i].Sequence, err)
		}
	}
	last := items[len(items)-1]
	if err := tx.flush(last.Sequence, last.Salt); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, err := x.writer.ExecContext(context.Background(), "COMMIT"); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	tx.merge()
	x.seq = last.Sequence
	return nil
}

// checkpoint moves the write-ahead log into the file once it is long, or after a removal.
func (x *Index) checkpoint(ctx context.Context) error {
	if x.unsaved < saveAfter && !x.erase {
		return nil
	}
	how := "PASSIVE"
	if x.erase { // removed records must not remain in the write-ahead log either
		how = "TRUNCATE"
	}
	var busy, inLog, moved int
	if err := x.writer.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint("+how+")").Scan(&busy, &inLog, &moved); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	x.unsaved, x.erase = 0, x.erase && busy != 0
	return nil
}

// add indexes one record.
func (tx *transaction) add(it *extract.Item) error {
	if it.Removal != nil {
		return tx.remove(it)
	}
	if it.Address.Incident == "" {
		return nil
	}
	inc, err := tx.incident(it.Address.Operator, it.Address.Incident)
	if err != nil {
		return err
	}
	if err := tx.addToStory(inc, it, it.Address.Kind); err != nil || it.Err != nil {
		return err
	}
	switch {
	case it.Revision != nil:
		return tx.addRevision(inc, it)
	case it.Escalation != nil:
		return tx.addEscalation(inc, it)
	case it.Acknowledgement != nil:
		return tx.outcome(inc, it, func(o *outcome) bool {
			if o.acknowledged != 0 {
				return false // the first counts
			}
			o.acknowledged, o.acknowledgedAt, o.acknowledgedBy = it.Sequence, it.Acknowledgement.At.UnixNano(), it.Acknowledgement.Officer
			return true
		})
	case it.Overdue != nil:
		return tx.outcome(inc, it, func(o *outcome) bool {
			if o.overdue != 0 {
				return false
			}
			o.overdue, o.overdueAt = it.Sequence, it.Overdue.At.UnixNano()
			return true
		})
	case it.Closing != "":
		return tx.addClosing(inc, it)
	}
	return nil
}

func (tx *transaction) addToStory(inc *incident, it *extract.Item, kind string) error {
	return tx.insert(insertStory, it.Sequence, inc.id, kindNumber(kind), it.At.UnixNano())
}

func kindNumber(name string) int {
	kind, _ := event.KindOf(name)
	return kind.Story
}

func kindName(number int) string {
	if i := slices.IndexFunc(event.Kinds, func(k event.Kind) bool { return k.Story == number }); number != 0 && i >= 0 {
		return event.Kinds[i].Name
	}
	return ""
}

func (tx *transaction) addRevision(inc *incident, it *extract.Item) error {
	r := it.Revision
	terms, err := tx.termsOf(&r.Entry)
	if err != nil {
		return err
	}
	if err := tx.insert(insertRevision, it.Sequence, inc.id, r.Number, r.Row); err != nil {
		return err
	}
	tx.added = append(tx.added, addition{tx.index.positionOf(it.Sequence), terms, extract.KindIncidentTitle, &r.Entry, nil})
	if inc.record != 0 && r.Number <= inc.revision {
		return nil // the revision with the highest number is current
	}
	if inc.record != 0 {
		if err := tx.put(extract.FlagCurrent, inc.record, false); err != nil {
			return err
		}
	}
	inc.record, inc.revision, inc.changed = it.Sequence, r.Number, true
	return tx.makeCurrent(inc)
}

// makeCurrent makes a revision the current one of its incident for queries, with its desks.
func (tx *transaction) makeCurrent(inc *incident) error {
	if err := tx.put(extract.FlagCurrent, inc.record, true); err != nil {
		return err
	}
	if err := tx.loadDesks(inc); err != nil {
		return err
	}
	for _, d := range inc.desks {
		if err := tx.setDeskTerms(inc, d); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) setDeskTerms(inc *incident, d *desk) error {
	if inc.record == 0 {
		return nil
	}
	return errors.Join(
		tx.put(extract.KindTold.Term(d.number), inc.record, d.told > 0),
		tx.put(extract.KindOpenAt.Term(d.number), inc.record, d.told > d.closed))
}

func (tx *transaction) addEscalation(inc *incident, it *extract.Item) error {
	e := it.Escalation
	to, err := tx.term(extract.Named{Kind: extract.KindTold, Value: it.Address.Desk})
	if err != nil {
		return err
	}
	n, err := tx.count(insertTold, inc.id, to.Number(), it.Address.Last, it.Sequence, e.By, int(e.Effect))
	if err != nil || n == 0 {
		return err
	}
	terms, err := tx.termsOf(&e.Entry)
	if err != nil {
		return err
	}
	if err := tx.exec(insertEscalation, it.Sequence, e.Reported, e.By, e.Row); err != nil {
		return err
	}
	tx.added = append(tx.added, addition{tx.index.positionOf(it.Sequence), terms, extract.KindTitle, &e.Entry, e})
	if err := tx.put(extract.FlagOpen, it.Sequence, e.Effect != extract.EffectOwnAct); err != nil {
		return err
	}
	return tx.noteEscalation(inc, to.Number(), it.Sequence, e.Effect)
}

func (tx *transaction) noteEscalation(inc *incident, number int64, record uint64, what extract.Effect) error {
	if what == extract.EffectNone {
		return nil
	}
	if err := tx.loadDesks(inc); err != nil {
		return err
	}
	d := inc.desk(number)
	if what == extract.EffectReview && d.told == 0 {
		return nil
	}
	d.told, d.changed = max(d.told, record), true
	return tx.setDeskTerms(inc, d)
}

func (tx *transaction) addClosing(inc *incident, it *extract.Item) error {
	by, err := tx.term(extract.Named{Kind: extract.KindTold, Value: it.Address.Desk})
	if err != nil {
		return err
	}
	if err := tx.exec(insertClosing, it.Sequence, by.Number(), it.Closing); err != nil {
		return err
	}
	if err := tx.loadDesks(inc); err != nil {
		return err
	}
	d := inc.desk(by.Number())
	d.closed, d.changed = max(d.closed, it.Sequence), true
	return tx.setDeskTerms(inc, d)
}
