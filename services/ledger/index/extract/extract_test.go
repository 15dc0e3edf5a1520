package extract

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

func TestRows_PartsOfARecordGiveTheRowOfAllOfIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sameRow(t, ledgertest.AnyRecord(t).Data, escalatedParts, escalationRow)
		sameRow(t, ledgertest.AnyRecord(t).Data, revisionParts, incidentRow)
	})
}

// sameRow requires the row of a body's parts to equal the row of the body, and only
// readable parts of a readable body to be readable.
func sameRow[T, R any](t *rapid.T, body []byte, p parts, row func(*T, uint64) R) {
	var all, picked T
	fault := json.Unmarshal(body, &all, event.JSON)
	failed := json.Unmarshal(p.pick(body), &picked, event.JSON)
	require.Equal(t, fault == nil, failed == nil)
	require.Equal(t, row(&all, 1), row(&picked, 1))
}
