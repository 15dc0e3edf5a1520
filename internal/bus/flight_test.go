package bus

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// refusing notes which records it was told are refused.
type refusing struct{ refused []uint64 }

func (h *refusing) Handle(context.Context, event.Stored) ([]event.Record, error) { return nil, nil }

func (h *refusing) Refused(in, _ event.Stored) bool {
	h.refused = append(h.refused, in.Sequence)
	return false
}

func (h *refusing) Failed(event.Stored) {}

// Each record of a flight is settled by its own results.
func TestConclude_ResultsOfEachRecord(t *testing.T) {
	t.Parallel()
	h := &refusing{}
	r := &run{f: Follower{Handler: h}, aside: map[uint64]*trial{}, busy: map[string]bool{}, waiting: map[string][]*trial{}}
	f := &flight{}
	taken := &event.Stored{}
	for i, results := range [][]Result{{{}}, {{}, {Existing: taken}}, {{}}, {{Existing: taken}}} {
		f.trials = append(f.trials, &trial{in: event.Stored{Sequence: uint64(i + 1)}, key: string(rune('a' + i)), owns: true, out: make([]event.Record, len(results))})
		f.results = append(f.results, results...)
	}
	require.NoError(t, r.conclude(t.Context(), f))
	require.Equal(t, []uint64{2, 4}, h.refused)
}
