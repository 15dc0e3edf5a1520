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
	out := event.QueryAnswer{Rows: []event.EscalationRow{}}
	where, args, err := conditions(q, now)
	if err != nil {
		return out, err
	}
	limit := pageRows
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	rows, err := x.db.QueryContext(ctx, "SELECT row, acknowledged_at, acknowledged_by FROM escalations AS e WHERE "+
		strings.Join(where, " AND ")+" ORDER BY record LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return out, fmt.Errorf("ledger: query: %w", err)
	}
	defer rows.Close()
	bytes := 0
	for rows.Next() {
		var raw, by string
		var at sql.NullInt64
		if err := rows.Scan(&raw, &at, &by); err != nil {
			return out, fmt.Errorf("ledger: query: %w", err)
		}
		if bytes += len(raw); len(out.Rows) == limit || bytes > pageBytes && len(out.Rows) > 0 {
			out.Next = cursorOf(out.Rows[len(out.Rows)-1].Record)
			break
		}
		var row event.EscalationRow
		if err := json.Unmarshal([]byte(raw), &row); err != nil {
			return out, fmt.Errorf("ledger: query: %w", err)
		}
		if at.Valid {
			t := time.Unix(0, at.Int64).UTC()
			row.AcknowledgedAt, row.AcknowledgedBy = &t, by
		}
		row.State = row.StateAt(now)
		out.Rows = append(out.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return out, fmt.Errorf("ledger: query: %w", err)
	}
	return out, nil
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
		and("acknowledge_by < ?", now.UnixNano())
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
