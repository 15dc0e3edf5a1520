package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// Bounds of one page: a NATS reply is at most 1 MiB. pageTitles bounds the cost of
// reading titles for one page, in rows, and pageApart the rows so far from the one before
// that each needs a read from the disk. A page that reaches a bound ends early, and its
// cursor continues after it.
const (
	PageRows   = 200
	PageBytes  = 600 << 10
	pageTitles = 80
	pageApart  = 80
	near       = 32 // records: their rows are mostly on one page of the file
)

// rowsInSequence is how many rows one connection reads in turn: they often share pages of
// the file.
const rowsInSequence = 8

// Escalations returns one page of escalations, in ledger order, as they stand at now.
func (x *Index) Escalations(ctx context.Context, q api.Query, now time.Time) (api.QueryAnswer, error) {
	x.mu.RLock()
	p, faults := planOf(x.words, q, identity.Of(ctx).Scope(), now)
	x.mu.RUnlock()
	if faults != nil {
		return api.QueryAnswer{}, fault.Invalid("ledger: query", faults)
	}
	var out api.QueryAnswer
	err := x.ask(ctx, lanes, p.moving, func(r *reader) (err error) {
		out.Rows, out.Next, err = pageOf(ctx, r, &p, q.Limit, (*lane).escalation)
		return err
	})
	if err != nil {
		return api.QueryAnswer{}, fmt.Errorf("ledger: query: %w", err)
	}
	for i := range out.Rows {
		out.Rows[i].State = out.Rows[i].StateAt(now)
	}
	return out, nil
}

// pageOf reads rows up to the bounds of a page, at least one if there is any, and returns
// the cursor of the next page if there may be more. read returns a row and its stored
// length.
func pageOf[T any](ctx context.Context, r *reader, p *plan, limit int, read func(l *lane, record uint64) (T, int, error)) (out []T, next string, err error) {
	var records []uint64
	apart := 0
	if limit <= 0 || limit > PageRows {
		limit = PageRows
	}
	behind, err := p.each(ctx, r, pageTitles, func(record uint64) (bool, error) {
		n := len(records)
		if n > 0 && (n == limit || apart == pageApart) {
			next = Cursor(records[n-1])
			return false, nil
		}
		if n == 0 || record-records[n-1] > near {
			apart++
		}
		records = append(records, record)
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	if behind > 0 {
		next = Cursor(behind)
	}
	out = make([]T, len(records))
	sizes := make([]int, len(records))
	err = r.inLanes((len(records)+rowsInSequence-1)/rowsInSequence, func(l *lane, run int) (err error) {
		for i := run * rowsInSequence; i < min((run+1)*rowsInSequence, len(records)) && err == nil; i++ {
			out[i], sizes[i], err = read(l, records[i])
		}
		return err
	})
	bytes := 0
	for i, size := range sizes {
		if bytes += size; bytes > PageBytes && i > 0 {
			return out[:i], Cursor(records[i-1]), err
		}
	}
	return out, next, err
}

// escalation returns an escalation with its outcome.
func (l *lane) escalation(record uint64) (row api.EscalationRow, bytes int, err error) {
	var raw sql.RawBytes
	var by *int64
	var acknowledged, acknowledgedAt, overdue, overdueAt sql.NullInt64
	var officer sql.NullString
	rows, err := l.rows(lookEscalation, record)
	if err != nil {
		return row, 0, err
	}
	defer rows.Close()
	if !rows.Next() {
		return row, 0, errors.Join(rows.Err(), fmt.Errorf("%w: they name record %d, which is no escalation", postings.ErrDamaged, record))
	}
	if err := rows.Scan(&raw, &by, &acknowledged, &acknowledgedAt, &officer, &overdue, &overdueAt); err != nil {
		return row, 0, err
	}
	if row, bytes, err = extract.EscalationRow(record, raw); err != nil {
		return row, 0, err
	}
	o := outcome{uint64(acknowledged.Int64), acknowledgedAt.Int64, officer.String, uint64(overdue.Int64), overdueAt.Int64}
	if o.acknowledged != 0 {
		row.AcknowledgedAt, row.AcknowledgedBy = instant(o.acknowledgedAt), o.acknowledgedBy
	}
	if o.isOverdue(by) {
		row.OverdueAt = instant(o.overdueAt)
	}
	return row, bytes, nil
}

func instant(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}

// Cursor renders a cursor: the ledger sequence of the last record that a page covers. The
// ledger only grows, so a cursor never expires.
func Cursor(seq uint64) string { return strconv.FormatUint(seq, 10) }

// ParseCursor reads a cursor; an empty one is the beginning.
func ParseCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a cursor of this ledger", cursor)
	}
	return seq, nil
}

// Story returns the next records of an incident, without their subjects and bodies; if
// the page is full there may be more.
func (x *Index) Story(ctx context.Context, req api.ShowRequest) (out []api.StoryEntry, err error) {
	err = x.ask(ctx, 1, nil, func(r *reader) error {
		var id int64
		err := r.row(lookIncident, event.Token(req.Incident), event.Token(req.Operator)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		after := min(req.After, 1<<63-1) // the largest value of SQLite
		rows, err := r.rows(lookStory, id, after, PageRows)
		if err != nil {
			return err
		}
		return eachRow(rows, func() error {
			var e api.StoryEntry
			var kind int
			var at int64
			err := rows.Scan(&e.Record, &kind, &at)
			e.Type, e.At = kindName(kind), *instant(at)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: show: %w", err)
	}
	return out, nil
}
