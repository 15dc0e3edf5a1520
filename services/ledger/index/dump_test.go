package index

import (
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

// apply indexes records.
func (x *Index) apply(ctx context.Context, batch []event.Stored) (unreadable []error, err error) {
	return x.Write(ctx, extract.Decode(batch))
}

// dumpOf returns everything in an index.
func dumpOf(t require.TestingT, x *Index) (lines []string) {
	for _, table := range []string{
		"position", "terms", "postings", "chunks", "incidents", "story", "revisions", "escalations", "told", "outcomes", "desks", "closings",
	} {
		rows, err := x.db.QueryContext(context.Background(), "SELECT * FROM "+table+" ORDER BY 1, 2")
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range into {
				into[i] = &values[i]
			}
			require.NoError(t, rows.Scan(into...))
			lines = append(lines, fmt.Sprint(table, values))
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return append(lines, dumpOfTail(x.tail)...)
}

// dumpOfTail returns the growing chunk, which is in memory.
func dumpOfTail(tail *tail) (lines []string) {
	if tail == nil {
		return nil
	}
	for id, list := range tail.lists {
		if len(list) > 0 {
			lines = append(lines, fmt.Sprint("tail list ", id, list))
		}
	}
	for id, s := range tail.moved {
		if !s.IsEmpty() {
			lines = append(lines, fmt.Sprint("tail set ", id, slices.Collect(s.All())))
		}
	}
	for id, b := range tail.text {
		for token, list := range b {
			lines = append(lines, fmt.Sprint("tail token ", id, token, list))
		}
	}
	slices.Sort(lines)
	return append(lines, fmt.Sprint("tail ", tail.chunk, *tail.times))
}
