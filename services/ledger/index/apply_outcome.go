package index

import (
	"database/sql"
	"errors"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

type outcome struct {
	acknowledged   uint64 // record; 0: not acknowledged
	acknowledgedAt int64
	acknowledgedBy string
	overdue        uint64 // record; 0: none
	overdueAt      int64
}

// late reports whether the acknowledgement was after the target, by its own stamp.
func (o *outcome) late(by *int64) bool { return by != nil && o.acknowledgedAt > *by }

// isOverdue reports whether the overdue record counts: an escalation that was
// acknowledged in time before it is not overdue.
func (o *outcome) isOverdue(by *int64) bool {
	return o.overdue != 0 && (o.acknowledged == 0 || o.acknowledged > o.overdue || o.late(by))
}

func (tx *transaction) outcome(inc *incident, it *extract.Item, change func(*outcome) bool) error {
	desk, known := tx.index.words.Term(extract.Named{Kind: extract.KindTold, Value: it.Address.Desk})
	if !known {
		return nil
	}
	row := tx.index.prepared[selectOutcome].QueryRow(inc.id, desk.Number(), it.Address.Last)
	return tx.changeOutcome(row, change)
}

const outcomeColumns = `t.record, t.acknowledge_by, t.tells, COALESCE(o.acknowledged, 0), COALESCE(o.acknowledged_at, 0), COALESCE(o.acknowledged_by, ''),
	COALESCE(o.overdue, 0), COALESCE(o.overdue_at, 0) FROM told AS t LEFT JOIN outcomes AS o ON o.record = t.record`

// changeOutcome changes the outcome of the escalation in a row of outcomeColumns, if
// there is one.
func (tx *transaction) changeOutcome(row *sql.Row, change func(*outcome) bool) error {
	var record uint64
	var by *int64
	var effect extract.Effect
	var o outcome
	err := row.Scan(&record, &by, &effect, &o.acknowledged, &o.acknowledgedAt, &o.acknowledgedBy, &o.overdue, &o.overdueAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if !change(&o) {
		return nil
	}
	if err := tx.exec(putOutcome, record, o.acknowledged, o.acknowledgedAt, o.acknowledgedBy, o.overdue, o.overdueAt); err != nil {
		return err
	}
	for _, c := range outcomeTerms(o, by, effect) {
		if err := tx.put(c.term, record, c.on); err != nil {
			return err
		}
	}
	return nil
}

type flagged struct {
	term extract.Term
	on   bool
}

// outcomeTerms returns the terms that follow from the outcome of an escalation.
func outcomeTerms(o outcome, by *int64, effect extract.Effect) [3]flagged {
	overdue := o.isOverdue(by)
	return [3]flagged{
		{extract.FlagOpen, o.acknowledged == 0 && effect != extract.EffectOwnAct},
		{extract.FlagOverdue, overdue},
		{extract.FlagAckLate, o.acknowledged != 0 && (overdue || o.late(by))},
	}
}
