package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
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

// MaxBatch bounds the records of one transaction; known must hold the incidents of one.
const MaxBatch = 4096

// apply adds records, in transactions that include the position.
func (x *Index) apply(ctx context.Context, batch []event.Stored) (unreadable []error, err error) {
	return x.Write(ctx, Decode(batch))
}

// Write adds items in ledger order, each chunk's in a transaction of its own.
func (x *Index) Write(ctx context.Context, items []Item) (unreadable []error, err error) {
	for len(items) > 0 {
		if ctx.Err() != nil {
			return unreadable, ctx.Err()
		}
		n := 1
		for n < min(len(items), MaxBatch) && x.chunkOf(items[n].seq) == x.chunkOf(items[0].seq) {
			n++
		}
		if err := x.commit(ctx, items[:n]); err != nil {
			return unreadable, err
		}
		for _, it := range items[:n] {
			if it.err != nil {
				unreadable = append(unreadable, it.err)
			}
		}
		items = items[n:]
	}
	return unreadable, x.checkpoint(ctx)
}

// commit writes items of one chunk in one transaction. A failed one leaves no trace, not
// in memory either.
func (x *Index) commit(ctx context.Context, items []Item) (err error) {
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
		err = errors.Join(err, x.remember(context.WithoutCancel(ctx)))
	}()
	w := newWriting(x)
	if err := w.turn(x.chunkOf(items[0].seq)); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	if err := w.meet(items); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	for i := range items {
		if err := w.add(&items[i]); err != nil {
			return fmt.Errorf("ledger: index record %d: %w", items[i].seq, err)
		}
	}
	last := items[len(items)-1]
	if err := w.flush(last.seq, last.salt); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, err := x.writer.ExecContext(context.Background(), "COMMIT"); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	w.merge()
	x.seq = last.seq
	return nil
}

// checkpoint moves the write-ahead log into the file once it is long, while no question
// waits.
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
func (w *writing) add(it *Item) error {
	if it.removal != nil {
		return w.remove(it)
	}
	if it.addr.Incident == "" {
		return nil
	}
	inc, err := w.incident(it.addr.Operator, it.addr.Incident)
	if err != nil {
		return err
	}
	if err := w.tell(inc, it, it.addr.Kind); err != nil || it.err != nil {
		return err
	}
	switch {
	case it.revision != nil:
		return w.addRevision(inc, it)
	case it.escalation != nil:
		return w.addEscalation(inc, it)
	case it.ack != nil:
		return w.outcome(inc, it, func(o *outcome) bool {
			if o.acknowledged != 0 {
				return false // the first counts
			}
			o.acknowledged, o.acknowledgedAt, o.acknowledgedBy = it.seq, it.ack.At.UnixNano(), it.ack.Officer
			return true
		})
	case it.overdue != nil:
		return w.outcome(inc, it, func(o *outcome) bool {
			if o.overdue != 0 {
				return false
			}
			o.overdue, o.overdueAt = it.seq, it.overdue.At.UnixNano()
			return true
		})
	case it.closing != "":
		return w.addClosing(inc, it)
	}
	return nil
}

// tell adds a record to the story of an incident.
func (w *writing) tell(inc *incident, it *Item, kind string) error {
	return w.insert(insertStory, it.seq, inc.id, kindNumber(kind), it.at.UnixNano())
}

func kindNumber(name string) int {
	kind, _ := event.KindOf(name)
	return kind.Timeline
}

func kindName(number int) string {
	if i := slices.IndexFunc(event.Kinds, func(k event.Kind) bool { return k.Timeline == number }); number != 0 && i >= 0 {
		return event.Kinds[i].Name
	}
	return ""
}

func (w *writing) addRevision(inc *incident, it *Item) error {
	r := it.revision
	terms, err := w.termsOf(&r.entry)
	if err != nil {
		return err
	}
	if err := w.insert(insertRevision, it.seq, inc.id, r.revision, r.row); err != nil {
		return err
	}
	w.added = append(w.added, addition{w.index.positionOf(it.seq), terms, kindIncidentTitle, &r.entry, nil})
	if inc.record != 0 && r.revision <= inc.revision {
		return nil // the revision with the highest number is current
	}
	if inc.record != 0 {
		if err := w.put(flagCurrent, inc.record, false); err != nil {
			return err
		}
	}
	inc.record, inc.revision, inc.changed = it.seq, r.revision, true
	return w.show(inc)
}

// show makes a revision the current one of its incident for queries, with its desks.
func (w *writing) show(inc *incident) error {
	if err := w.put(flagCurrent, inc.record, true); err != nil {
		return err
	}
	if err := w.loadDesks(inc); err != nil {
		return err
	}
	for _, d := range inc.desks {
		if err := w.showDesk(inc, d); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) showDesk(inc *incident, d *desk) error {
	if inc.record == 0 {
		return nil
	}
	return errors.Join(
		w.put(kindTold.term(d.number), inc.record, d.told > 0),
		w.put(kindOpenAt.term(d.number), inc.record, d.told > d.closed))
}

func (w *writing) addEscalation(inc *incident, it *Item) error {
	e := it.escalation
	to, err := w.term(named{kindTold, it.addr.Desk})
	if err != nil {
		return err
	}
	n, err := w.count(insertTold, inc.id, to.number(), it.addr.Last, it.seq, number(e.by), int(e.says))
	if err != nil || n == 0 {
		return err
	}
	terms, err := w.termsOf(&e.entry)
	if err != nil {
		return err
	}
	if err := w.exec(insertEscalation, it.seq, e.reported, number(e.by), e.row); err != nil {
		return err
	}
	w.added = append(w.added, addition{w.index.positionOf(it.seq), terms, kindTitle, &e.entry, e})
	if err := w.put(flagOpen, it.seq, e.says != saysOwnAct); err != nil {
		return err
	}
	return w.tellDesk(inc, to.number(), it.seq, e.says)
}

// tellDesk notes that a desk received an escalation.
func (w *writing) tellDesk(inc *incident, number int64, record uint64, what saying) error {
	if what == saysNothing {
		return nil
	}
	if err := w.loadDesks(inc); err != nil {
		return err
	}
	d := inc.desk(number)
	if what == saysAgain && d.told == 0 {
		return nil
	}
	d.told, d.changed = max(d.told, record), true
	return w.showDesk(inc, d)
}

func (w *writing) addClosing(inc *incident, it *Item) error {
	by, err := w.term(named{kindTold, it.addr.Desk})
	if err != nil {
		return err
	}
	if err := w.exec(insertClosing, it.seq, by.number(), it.closing); err != nil {
		return err
	}
	if err := w.loadDesks(inc); err != nil {
		return err
	}
	d := inc.desk(by.number())
	d.closed, d.changed = max(d.closed, it.seq), true
	return w.showDesk(inc, d)
}
