package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Bounds of one page: a reply of NATS ends at 1 MiB.
const (
	pageRows  = 200
	pageBytes = 600 << 10
)

// query returns one page of escalations, in ledger order, as they stand at now.
func (x *index) query(ctx context.Context, q event.Query, now time.Time) (event.QueryAnswer, error) {
	where, args, err := conditions(q, now)
	if err != nil {
		return event.QueryAnswer{}, err
	}
	limit := limitOf(q.Limit)
	rows, err := x.db.QueryContext(ctx, "SELECT row, acknowledged_at, acknowledged_by, overdue_at FROM escalations AS e WHERE "+
		strings.Join(where, " AND ")+" ORDER BY record LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return event.QueryAnswer{}, fmt.Errorf("ledger: query: %w", err)
	}
	defer rows.Close()
	var out event.QueryAnswer
	out.Rows, out.Next, err = page(rows, limit, readEscalation, func(r event.EscalationRow) uint64 { return r.Record })
	if err != nil {
		return out, fmt.Errorf("ledger: query: %w", err)
	}
	for i := range out.Rows {
		out.Rows[i].State = out.Rows[i].StateAt(now)
	}
	return out, nil
}

func readEscalation(rows *sql.Rows) (row event.EscalationRow, bytes int, err error) {
	var raw, by string
	var acknowledged, overdue sql.NullInt64
	if err := rows.Scan(&raw, &acknowledged, &by, &overdue); err != nil {
		return row, 0, err
	}
	if err := json.Unmarshal([]byte(raw), &row); err != nil {
		return row, 0, err
	}
	row.AcknowledgedAt, row.AcknowledgedBy, row.OverdueAt = instant(acknowledged), by, instant(overdue)
	return row, len(raw), nil
}

func instant(ns sql.NullInt64) *time.Time {
	if !ns.Valid {
		return nil
	}
	t := time.Unix(0, ns.Int64).UTC()
	return &t
}

func limitOf(asked int) int {
	if asked > 0 {
		return min(pageRows, asked)
	}
	return pageRows
}

// page reads rows up to the bounds of a page, at least one where there is any,
// and the cursor of the next page where more came.
func page[T any](rows *sql.Rows, limit int, read func(*sql.Rows) (T, int, error), record func(T) uint64) ([]T, string, error) {
	out := []T{}
	bytes := 0
	for rows.Next() {
		row, size, err := read(rows)
		if err != nil {
			return nil, "", err
		}
		if bytes += size; len(out) == limit || bytes > pageBytes && len(out) > 0 {
			return out, cursorOf(record(out[len(out)-1])), nil
		}
		out = append(out, row)
	}
	return out, "", rows.Err()
}

// conditions renders a query as SQL, or names every fault of it.
func conditions(q event.Query, now time.Time) (where []string, args []any, err error) {
	var faults []fault.Detail
	and := func(sql string, values ...any) { where, args = append(where, sql), append(args, values...) }
	after, err := sequenceOf(q.Cursor)
	if err != nil {
		faults = append(faults, fault.Detail{Path: "$.cursor", Message: err.Error()})
	}
	and("record > ?", after)
	if q.Grade != "" {
		g, err := event.ParseGrade(q.Grade)
		if err != nil {
			faults = append(faults, fault.Detail{Path: "$.grade", Message: err.Error()})
		}
		and("grade = ?", int(g))
	}
	if q.Operator != "" {
		and("operator = ?", q.Operator)
	}
	if q.Desk != "" {
		and("desk = ?", q.Desk)
	}
	tagged := func(kind, sql string, values ...any) {
		and("EXISTS (SELECT 1 FROM tags WHERE kind = ? AND record = e.record AND "+sql+")", append([]any{kind}, values...)...)
	}
	if q.Statute != "" {
		tagged(tagStatute, "value = ?", q.Statute)
	}
	if q.Sector != "" {
		tagged(tagSector, "value = ?", q.Sector)
	}
	if q.Region != "" {
		prefix := regionPrefix(q.Region)
		tagged(tagRegion, "value >= ? AND value < ?", prefix, prefix+":") // ':' follows '9'
	}
	if q.Since != nil {
		and("reported_at >= ?", q.Since.UnixNano())
	}
	if q.Until != nil {
		and("reported_at < ?", q.Until.UnixNano())
	}
	if q.Unacknowledged || q.Overdue {
		and("acknowledged_at IS NULL")
	}
	if q.Overdue {
		and("(overdue_at IS NOT NULL OR acknowledge_by < ?)", now.UnixNano())
	}
	if faults != nil {
		return nil, nil, fault.Invalid("ledger: query", faults)
	}
	return where, args, nil
}

// regionPrefix is the part of a GB/T 2260 code that its region shares: 650000
// (a province) covers 650100 (a prefecture).
func regionPrefix(code string) string {
	for len(code) > 2 && strings.HasSuffix(code, "00") {
		code = code[:len(code)-2]
	}
	return code
}

// A cursor is the ledger sequence of a page's last row: the ledger only grows,
// so it stays good for ever.
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

// entries returns the next records of an incident, without their bodies; there
// may be more when a page is full.
func (x *index) entries(ctx context.Context, req event.ShowRequest) ([]event.StoryEntry, error) {
	rows, err := x.db.QueryContext(ctx, "SELECT seq, at, kind, subject FROM records WHERE operator = ? AND incident = ? AND seq > ? ORDER BY seq LIMIT ?",
		event.Token(req.Operator), event.Token(req.Incident), req.After, pageRows)
	if err != nil {
		return nil, fmt.Errorf("ledger: show: %w", err)
	}
	defer rows.Close()
	var out []event.StoryEntry
	for rows.Next() {
		var e event.StoryEntry
		var at int64
		if err := rows.Scan(&e.Record, &at, &e.Type, &e.Subject); err != nil {
			return nil, fmt.Errorf("ledger: show: %w", err)
		}
		e.At = time.Unix(0, at).UTC()
		out = append(out, e)
	}
	return out, rows.Err()
}
