package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// statement is one of those by which records are indexed.
type statement int

const (
	insertRecord statement = iota
	insertEscalation
	insertTag
	acknowledge
	overdue
	insertIncident
	tellDesk
	reviewAtDesk
	closeAtDesk
	movePosition
	statements // how many there are
)

var statementTexts = [statements]string{
	insertRecord: "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?)",
	insertEscalation: `INSERT OR IGNORE INTO escalations (record, id, desk, operator, grade, reported_at, acknowledge_by, row)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
	insertTag:   "INSERT OR IGNORE INTO tags VALUES (?, ?, ?)",
	acknowledge: "UPDATE escalations SET acknowledged_at = ?, acknowledged_by = ? WHERE id = ? AND acknowledged_at IS NULL",
	// What was acknowledged in time before this record cannot be overdue.
	overdue: `UPDATE escalations SET overdue_at = ? WHERE id = ? AND overdue_at IS NULL
		AND (acknowledged_at IS NULL OR acknowledged_at > acknowledge_by)`,
	insertIncident: `INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (operator, incident) DO UPDATE SET
		record = excluded.record, revision = excluded.revision, withdrawn = excluded.withdrawn, owed = excluded.owed, row = excluded.row
		WHERE excluded.revision > revision`,
	tellDesk: "INSERT INTO desks (operator, incident, desk, told) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET told = max(told, excluded.told)",
	// A review brings an incident back to a desk that knows it; it tells no other.
	reviewAtDesk: "UPDATE desks SET told = max(told, ?4) WHERE operator = ?1 AND incident = ?2 AND desk = ?3 AND told > 0",
	closeAtDesk: `INSERT INTO desks (operator, incident, desk, closed, closing) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
		closed = excluded.closed, closing = excluded.closing WHERE excluded.closed > closed`,
	movePosition: "UPDATE position SET seq = ?, salt = ?",
}

// indexing is one transaction.
type indexing struct {
	index *index
	tx    *sql.Tx
	open  [statements]*sql.Stmt // those used so far
}

// exec runs a statement. It does not end with a context: the watch over one
// costs as much as a row, and a batch is short.
func (x *indexing) exec(s statement, args ...any) (sql.Result, error) {
	if x.open[s] == nil {
		x.open[s] = x.tx.Stmt(x.index.prepared[s])
	}
	return x.open[s].Exec(args...)
}

// apply adds records in one transaction, with the position.
func (x *index) apply(ctx context.Context, batch []event.Stored) (unreadable []error, err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	tx, err := x.writer.Begin()
	if err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	in := indexing{index: x, tx: tx}
	for _, s := range batch {
		err := in.add(s)
		if unread := (*unreadableError)(nil); errors.As(err, &unread) {
			unreadable = append(unreadable, err)
		} else if err != nil {
			return nil, fmt.Errorf("ledger: index record %d: %w", s.Sequence, err)
		}
	}
	last := batch[len(batch)-1]
	if _, err := in.exec(movePosition, last.Sequence, last.Salt); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	return unreadable, nil
}

// unreadableError is a record whose body says nothing to us. It is in the
// story of its incident all the same.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }

func read[T any](s event.Stored) (*T, error) {
	body, err := event.Decode[T](s)
	if err != nil {
		return nil, &unreadableError{err}
	}
	return body, nil
}

func (x *indexing) add(s event.Stored) error {
	a := event.ParseSubject(s.Subject)
	at := s.Time
	if at.IsZero() {
		at = s.StoredAt
	}
	if _, err := x.exec(insertRecord, s.Sequence, at.UnixNano(), a.Kind, a.Operator, a.Incident, s.Subject); err != nil {
		return err
	}
	switch a.Kind {
	case event.KindGraded:
		return x.addRevision(s, a)
	case event.KindEscalated:
		return x.addEscalation(s, a)
	case event.KindAcknowledged:
		ack, err := read[event.Acknowledgement](s)
		if err != nil {
			return err
		}
		_, err = x.exec(acknowledge, ack.At.UnixNano(), ack.Officer, event.EscalationOf(s.Subject))
		return err
	case event.KindOverdue:
		o, err := read[event.Overdue](s)
		if err != nil {
			return err
		}
		_, err = x.exec(overdue, o.At.UnixNano(), event.EscalationOf(s.Subject))
		return err
	case event.KindClosed:
		return x.addClosing(s, a)
	}
	return nil
}

func (x *indexing) addEscalation(s event.Stored, a event.Address) error {
	e, err := read[event.Escalated](s)
	if err != nil {
		return err
	}
	row, err := json.Marshal(e.Row(s.Sequence, nil, nil, e.ReportedAt))
	if err != nil {
		return err
	}
	var acknowledgeBy sql.NullInt64
	if e.AcknowledgeBy != nil {
		acknowledgeBy = sql.NullInt64{Int64: e.AcknowledgeBy.UnixNano(), Valid: true}
	}
	res, err := x.exec(insertEscalation, s.Sequence, e.ID, e.Desk, e.Operator, int(e.Grade), e.ReportedAt.UnixNano(), acknowledgeBy, string(row))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for _, tag := range tagsOf(e) {
		if _, err := x.exec(insertTag, tag.kind, tag.value, s.Sequence); err != nil {
			return err
		}
	}
	how := tellDesk
	switch e.Act {
	case event.ActNotice:
		return nil // of silence: it tells nothing of the incident
	case event.ActReview:
		how = reviewAtDesk
	}
	_, err = x.exec(how, a.Operator, a.Incident, a.Desk, s.Sequence)
	return err
}

type tag struct{ kind, value string }

const (
	tagStatute = "statute"
	tagRegion  = "region"
	tagSector  = "sector"
)

// tagsOf are the tags of an escalation, each once.
func tagsOf(e *event.Escalated) (tags []tag) {
	add := func(kind, value string) {
		if t := (tag{kind, value}); !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	for _, duties := range [][]event.Duty{e.Duties, e.Standing} {
		for _, d := range duties {
			add(tagStatute, d.Statute)
		}
	}
	for _, f := range e.Facilities {
		add(tagRegion, f.Region)
		add(tagSector, f.Sector)
	}
	return tags
}

// revision is what of a graded record an incident's row shows. The rest of it,
// which is most, is not read.
type revision struct {
	Operator string             `json:"operator"`
	Incident string             `json:"incident"`
	Revision int                `json:"revision"`
	At       time.Time          `json:"at"`
	About    event.About        `json:"about"`
	Grade    event.Grade        `json:"grade"`
	CouldBe  event.Grade        `json:"couldBe"`
	Peak     event.Grade        `json:"peak"`
	Next     *event.Next        `json:"next"`
	Owed     []event.Obligation `json:"owed"`
	Held     []event.Held       `json:"held"`
	State    struct {
		Fields struct {
			Title event.Field `json:"title"`
		} `json:"fields"`
		Reported  event.Field `json:"reported"`
		Withdrawn event.Field `json:"withdrawn"`
		Archived  bool        `json:"archived"`
		Live      bool        `json:"live"`
	} `json:"state"`
}

func (x *indexing) addRevision(s event.Stored, a event.Address) error {
	g, err := read[revision](s)
	if err != nil {
		return err
	}
	state := event.State{Reported: g.State.Reported, Withdrawn: g.State.Withdrawn, Archived: g.State.Archived, Live: g.State.Live}
	row := event.IncidentRow{
		Operator: g.Operator, Incident: g.Incident, Revision: g.Revision, About: g.About,
		Grade: g.Grade, CouldBe: g.CouldBe, Peak: g.Peak, Next: g.Next,
		Withdrawn: state.IsWithdrawn(), Imported: state.IsImported(), GradedAt: g.At,
		Owed: g.Owed, Held: g.Held, Record: s.Sequence,
	}
	_ = json.Unmarshal(g.State.Fields.Title.Value, &row.Title) // one that is not known is none
	if row.Owed == nil {
		row.Owed = []event.Obligation{}
	}
	raw, err := json.Marshal(row)
	if err != nil {
		return err
	}
	_, err = x.exec(insertIncident, s.Sequence, a.Operator, a.Incident, g.Revision, row.Withdrawn, len(row.Owed) > 0, string(raw))
	return err
}

func (x *indexing) addClosing(s event.Stored, a event.Address) error {
	act, err := read[event.DeskAct](s)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(event.Closing{Desk: act.Desk, Officer: act.Officer, Reason: act.Reason, At: act.At})
	if err != nil {
		return err
	}
	_, err = x.exec(closeAtDesk, a.Operator, a.Incident, a.Desk, s.Sequence, string(raw))
	return err
}
