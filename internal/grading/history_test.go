package grading

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// TestFold_HistoryIsBounded: a desk that repeatedly asks and is answered, transfers and
// confirms makes no record larger.
func TestFold_HistoryIsBounded(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+","+major))
	size := func() int {
		r, err := event.NewRecord("x", nine, "", s.last)
		require.NoError(t, err)
		return len(r.Data)
	}
	var most int
	for i := range 3 * maxHistory {
		at := fmt.Sprintf("%02d:%02d", 10+i/60, i%60)
		s.fold(ask(fmt.Sprint("q", i), "protection-energy", at, "cause"))
		s.fold(transfer(fmt.Sprint("t", i), "sh-public-security", "js-public-security", at))
		s.fold(act(event.KindConfirmed, fmt.Sprint("c", i), "protection-energy", at))
		s.fold(next(fmt.Sprint("p", i), at, fmt.Sprintf(`"cause":"%03d"`, i)))
		if i == maxHistory+5 {
			most = size()
		}
	}
	require.LessOrEqual(t, size(), most+200)
	require.Len(t, s.last.State.Asked, maxHistory)
	require.Len(t, s.last.State.Transferred, maxHistory)
	require.Len(t, s.last.State.Confirmed, maxHistory)
}
