package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// incidents returns one page of incidents as their last revisions have them.
// One that is revised meanwhile is on a later page again, never left out.
func (x *index) incidents(ctx context.Context, q event.IncidentQuery) (event.IncidentAnswer, error) {
	where, args, err := incidentConditions(q)
	if err != nil {
		return event.IncidentAnswer{}, err
	}
	limit := limitOf(q.Limit)
	rows, err := x.db.QueryContext(ctx, `SELECT row,
		(SELECT json_group_array(desk ORDER BY desk) FROM desks AS d WHERE d.operator = i.operator AND d.incident = i.incident AND told > 0),
		(SELECT json_group_array(json(closing) ORDER BY closed) FROM desks AS d WHERE d.operator = i.operator AND d.incident = i.incident AND closed > told)
		FROM incidents AS i WHERE `+strings.Join(where, " AND ")+" ORDER BY record LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return event.IncidentAnswer{}, fmt.Errorf("ledger: incidents: %w", err)
	}
	defer rows.Close()
	var out event.IncidentAnswer
	out.Rows, out.Next, err = page(rows, limit, readIncident, func(r event.IncidentRow) uint64 { return r.Record })
	if err != nil {
		return out, fmt.Errorf("ledger: incidents: %w", err)
	}
	return out, nil
}

func readIncident(rows *sql.Rows) (row event.IncidentRow, bytes int, err error) {
	var raw, desks, closings []byte
	if err := rows.Scan(&raw, &desks, &closings); err != nil {
		return row, 0, err
	}
	for _, part := range []struct {
		raw  []byte
		into any
	}{{raw, &row}, {desks, &row.Desks}, {closings, &row.ClosedBy}} {
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return row, 0, err
		}
	}
	return row, len(raw) + len(desks) + len(closings), nil
}

func incidentConditions(q event.IncidentQuery) (where []string, args []any, err error) {
	and := func(sql string, values ...any) { where, args = append(where, sql), append(args, values...) }
	after, err := sequenceOf(q.Cursor)
	if err != nil {
		return nil, nil, fault.Invalid("ledger: incidents", []fault.Detail{{Path: "$.cursor", Message: err.Error()}})
	}
	and("record > ?", after)
	if q.Operator != "" {
		and("operator = ?", event.Token(q.Operator))
	}
	if q.Incident != "" {
		and("incident = ?", event.Token(q.Incident))
	}
	if q.Owed {
		and("owed")
	}
	if q.Open {
		and("NOT withdrawn")
	}
	if q.Desk != "" {
		open := ""
		if q.Open {
			open = " AND told > closed"
		}
		and("EXISTS (SELECT 1 FROM desks AS d WHERE d.operator = i.operator AND d.incident = i.incident AND desk = ? AND told > 0"+open+")", event.Token(q.Desk))
	}
	return where, args, nil
}
