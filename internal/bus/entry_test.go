package bus_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// TestEntry_IsOfTheStoredRecord: two processes write the same subjects, each record of
// its own. Both get the hash under which the log has the record that was stored first: a
// receipt with any other would prove nothing.
func TestEntry_IsOfTheStoredRecord(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	buses := []*bus.Bus{env.Bus, bustest.Join(t, env, clock.System{}, event.Real).Bus}
	const each = 200
	var records [2][]event.Record
	var results [2][]bus.Result
	var wg sync.WaitGroup
	for w, b := range buses {
		for i := range each {
			records[w] = append(records[w], accepted(i))
		}
		wg.Go(func() {
			for i := 0; i < each; i += 10 {
				got, err := b.Commit(t.Context(), records[w][i:i+10])
				if err != nil {
					t.Error(err)
					return
				}
				results[w] = append(results[w], got...)
			}
		})
	}
	wg.Wait()
	for i := range each {
		stored, err := env.Bus.Last(t.Context(), records[0][i].Subject)
		require.NoError(t, err)
		ours := 0
		for w, b := range buses {
			require.Equal(t, stored.Sequence, results[w][i].Sequence)
			require.Equal(t, stored.Entry(), b.Entry(records[w][i], results[w][i]))
			if results[w][i].Existing == nil {
				ours++
				require.Equal(t, records[w][i].Salt, stored.Salt)
			}
		}
		require.Equal(t, 1, ours, "exactly one of them wrote it")
	}
}
