package natsd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

var stamp = time.Date(2026, 3, 1, 1, 20, 0, 0, time.UTC)

func accepted(i int) event.Record {
	return event.RawRecord(event.AcceptedSubject("op", fmt.Sprintf("inc-%d", i), event.SourceOf("op"), "r"), stamp, fmt.Sprint(i), fmt.Appendf(nil, `{"n":%d}`, i))
}

func commit(t *testing.T, b *bus.Bus, from, to int) {
	t.Helper()
	_, err := b.Commit(t.Context(), several(from, to-from))
	require.NoError(t, err)
}

func several(from, n int) []event.Record {
	records := make([]event.Record, n)
	for i := range records {
		records[i] = accepted(from + i)
	}
	return records
}
