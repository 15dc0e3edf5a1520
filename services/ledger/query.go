package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Bounds of one page: a reply of NATS ends at 1 MiB. misses bounds the titles
// that are read in vain for one page, which keeps the time for it short: such a
// page ends early, and its cursor goes on behind them.
const (
	pageRows  = 200
	pageBytes = 600 << 10
	misses    = 2000
)

// query returns one page of escalations, in ledger order, as they stand at now.
func (x *index) query(ctx context.Context, q event.Query, now time.Time) (event.QueryAnswer, error) {
	x.mu.RLock()
	p, faults := planOf(x.words, q, now)
	x.mu.RUnlock()
	if faults != nil {
		return event.QueryAnswer{}, fault.Invalid("ledger: query", faults)
	}
	var out event.QueryAnswer
	err := x.ask(ctx, p.moving, func(r *reader) (err error) {
		out.Rows, out.Next, err = pageOf(ctx, r, &p, q.Limit, r.escalation)
		return err
	})
	if err != nil {
		return event.QueryAnswer{}, fmt.Errorf("ledger: query: %w", err)
	}
	for i := range out.Rows {
		out.Rows[i].State = out.Rows[i].StateAt(now)
	}
	return out, nil
}

// pageOf reads rows up to the bounds of a page, at least one where there is any,
// and the cursor of the next page where more may come. read returns a row
// and the length of what was kept of it.
func pageOf[T any](ctx context.Context, r *reader, p *plan, limit int, read func(record uint64) (T, int, error)) (out []T, next string, err error) {
	out = []T{}
	limit = limitOf(limit)
	bytes, missed, last := 0, 0, uint64(0)
	err = p.each(ctx, r, func(record uint64) (bool, error) {
		fits, err := r.verifyOne(p, record)
		if err != nil {
			return false, err
		}
		if !fits {
			if missed++; missed == misses {
				next = cursorOf(record)
				if len(out) == limit {
					next = cursorOf(last)
				}
			}
			return missed < misses, nil
		}
		row, size, err := read(record)
		if err != nil {
			return false, err
		}
		if bytes += size; len(out) == limit || bytes > pageBytes && len(out) > 0 {
			next = cursorOf(last)
			return false, nil
		}
		out, last = append(out, row), record
		return true, nil
	})
	return out, next, err
}

// escalation returns one as it is kept, with what became of it.
func (r *reader) escalation(record uint64) (row event.EscalationRow, bytes int, err error) {
	var raw sql.RawBytes
	var by, acknowledged, acknowledgedAt, overdue, overdueAt sql.NullInt64
	var officer sql.NullString
	rows, err := r.rows(lookEscalation, record)
	if err != nil {
		return row, 0, err
	}
	defer rows.Close()
	if !rows.Next() {
		return row, 0, errors.Join(rows.Err(), fmt.Errorf("%w: they name record %d, which is no escalation", errPostings, record))
	}
	if err := rows.Scan(&raw, &by, &acknowledged, &acknowledgedAt, &officer, &overdue, &overdueAt); err != nil {
		return row, 0, err
	}
	if bytes, err = unpack(raw, &row); err != nil {
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

// verifyOne reports whether the title of a record that the clauses leave has the
// words.
func (r *reader) verifyOne(p *plan, record uint64) (bool, error) {
	if len(p.words) == 0 {
		return true, nil
	}
	var title string
	err := r.row(p.titles, record).Scan(&title)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: they name record %d, which has no title", errPostings, record)
	}
	return stands(title, p.words), err
}

// unpack reads a row as it is kept, and returns its length as JSON.
func unpack(raw []byte, into any) (int, error) {
	plain, err := s2.Decode(nil, raw)
	if err == nil {
		err = json.Unmarshal(plain, into)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: a row: %w", errPostings, err)
	}
	return len(plain), nil
}

func instant(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}

func limitOf(asked int) int {
	if asked > 0 {
		return min(pageRows, asked)
	}
	return pageRows
}

// A cursor is the ledger sequence of the last record that a page has seen: the
// ledger only grows, so it stays good for ever.
func cursorOf(seq uint64) string { return strconv.FormatUint(seq, 10) }

func sequenceOf(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a cursor of ours", cursor)
	}
	return seq, nil
}

// entries returns the next records of an incident, without their subjects and
// bodies; there may be more when a page is full.
func (x *index) entries(ctx context.Context, req event.ShowRequest) (out []event.StoryEntry, err error) {
	err = x.ask(ctx, nil, func(r *reader) error {
		var id int64
		err := r.row(lookIncident, event.Token(req.Incident), event.Token(req.Operator)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		after := min(req.After, 1<<63-1) // what SQLite can hold
		rows, err := r.rows(lookStory, id, after, pageRows)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e event.StoryEntry
			var kind int
			var at int64
			if err := rows.Scan(&e.Record, &kind, &at); err != nil {
				return err
			}
			e.Type, e.At = kindName(kind), *instant(at)
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: show: %w", err)
	}
	return out, nil
}
