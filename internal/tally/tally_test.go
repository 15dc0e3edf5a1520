package tally

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTally_FloodOfEvents(t *testing.T) {
	t.Parallel()
	type report struct {
		n    int
		last string
	}
	reports := make(chan report, 10)
	tally := New(func(n int, last string) { reports <- report{n, last} })
	for i := range 1000 {
		tally.Add(fmt.Sprint(i))
	}
	require.EqualValues(t, 1000, tally.Total())
	sum, last := 0, ""
	for got := 0; sum < 1000; got++ {
		select {
		case r := <-reports:
			sum, last = sum+r.n, r.last
		case <-time.After(time.Minute):
			t.Fatalf("%d of 1000 events were reported", sum)
		}
	}
	require.Equal(t, 1000, sum, "every event is in one report")
	require.Equal(t, "999", last, "the report describes the last event")
	require.Empty(t, reports)
}
