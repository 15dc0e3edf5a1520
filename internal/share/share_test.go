package share

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPool_OneGreedyPartyLeavesRoom(t *testing.T) {
	t.Parallel()
	p := NewPool(256)
	takeAll := func(party string) (held int64) {
		for p.Take(party, 1) == nil {
			held++
		}
		return held
	}
	require.EqualValues(t, 128, takeAll("greedy"))
	require.ErrorIs(t, p.Take("greedy", 1), ErrShare)
	require.NoError(t, p.Take("honest", 1))
	require.ErrorIs(t, p.Take("honest", 200), ErrFull)
	for i := range 20 {
		takeAll(fmt.Sprint("another ", i))
	}
	require.EqualValues(t, 256, p.Used(), "a party that holds nothing takes what is free")
	require.ErrorIs(t, p.Take("late", 1), ErrFull)
	p.Give("greedy", 1)
	require.NoError(t, p.Take("late", 1), "what the greedy party gives back goes to others")
	p.Give("late", 1)
	p.Give("greedy", 127)
	p.Give("honest", 1)
	require.NotContains(t, p.byParty, "greedy", "a party that holds nothing is forgotten")
}

func TestPool_GreedyPartiesEvenOut(t *testing.T) {
	t.Parallel()
	p := NewPool(1000)
	parties := []string{"a", "b", "c"}
	for range 2000 { // each gives one back and takes as many as it can
		for _, party := range parties {
			if p.byParty[party] > 0 {
				p.Give(party, 1)
			}
			for p.Take(party, 1) == nil {
			}
		}
	}
	for _, party := range parties {
		require.InDelta(t, 250, p.byParty[party], 5)
	}
}

func TestPool_PlacesForOne(t *testing.T) {
	t.Parallel()
	p := NewPool(1)
	require.NoError(t, p.Take("a", 1))
	require.ErrorIs(t, p.Take("a", 1), ErrFull)
	p.Give("a", 1)
	require.NoError(t, p.Take("b", 1))
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestLine_ServesPartiesInTurn(t *testing.T) {
	t.Parallel()
	l := NewFairQueue[string](100)
	push := func(party string, cost int) {
		_, full := l.Push(party, cost, noon, party)
		require.False(t, full)
	}
	for range 30 {
		push("greedy", 64)
	}
	push("honest", 1)
	push("honest", 1)
	var order []string
	for range 4 {
		work, _, ok := l.Pop()
		require.True(t, ok)
		order = append(order, work)
	}
	require.Equal(t, []string{"greedy", "honest", "honest", "greedy"}, order)
	for range 28 {
		_, _, ok := l.Pop()
		require.True(t, ok)
	}
	_, _, ok := l.Pop()
	require.False(t, ok)
	require.Empty(t, l.queues)
	require.Empty(t, l.turns)
}

func TestLine_CountsCostNotPieces(t *testing.T) {
	t.Parallel()
	l := NewFairQueue[string](10_000)
	for range 1000 {
		l.Push("batches", 200, noon, "batches")
		l.Push("single", 1, noon, "single")
	}
	done := map[string]int{}
	for done["single"] < 1000 {
		work, cost, _ := l.Pop()
		done[work] += cost
	}
	require.InDelta(t, done["single"], done["batches"], 300)
}

func TestLine_FullPushesOutTheLongestQueue(t *testing.T) {
	t.Parallel()
	l := NewFairQueue[string](10)
	for i := range 10 {
		l.Push("greedy", 1, noon, fmt.Sprint("greedy ", i))
	}
	out, full := l.Push("honest", 1, noon, "honest")
	require.True(t, full)
	require.Equal(t, "greedy 9", out)
	out, full = l.Push("greedy", 1, noon, "greedy 10")
	require.True(t, full)
	require.Equal(t, "greedy 10", out)
	require.Equal(t, 10, l.Len())
}

func TestLine_ExpiresWhatWaitedTooLong(t *testing.T) {
	t.Parallel()
	l := NewFairQueue[int](10)
	l.Push("a", 1, noon.Add(time.Second), 1)
	l.Push("b", 1, noon.Add(time.Second), 2)
	l.Push("a", 1, noon.Add(3*time.Second), 3)
	l.Push("c", 1, noon.Add(time.Second), 4)
	require.Empty(t, l.Expire(noon))
	require.ElementsMatch(t, []int{1, 2, 4}, l.Expire(noon.Add(2*time.Second)))
	require.Equal(t, 1, l.Len())
	work, _, ok := l.Pop()
	require.True(t, ok)
	require.Equal(t, 3, work)
}
