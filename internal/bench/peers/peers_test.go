package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// TestMain makes the test binary a contender where the driver has started it as
// one.
func TestMain(m *testing.M) {
	if name := os.Getenv(envChild); name != "" {
		exit(child(name))
	}
	os.Exit(m.Run())
}

type logged struct{ t *testing.T }

func (l logged) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

func show(t *testing.T, r *results) {
	var table strings.Builder
	require.NoError(t, r.print(&table))
	t.Log("\n" + table.String())
}

func TestEveryContenderIsExact(t *testing.T) {
	r, err := plan{dir: t.TempDir(), events: 500, rounds: 2, budget: time.Millisecond, latency: time.Second, progress: logged{t}}.run(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Of, 4)
	for _, c := range r.Of {
		require.Len(t, c.Rounds, 2, c.Name)
		for _, round := range c.Rounds {
			require.True(t, round.exact(), "%s: %+v", c.Name, round)
			require.Positive(t, round.CPU)
			require.Positive(t, round.Memory)
			require.GreaterOrEqual(t, round.Records, uint64(2*round.Events), c.Name)
		}
		require.Positive(t, c.Latency.P50, c.Name)
	}
	require.NotNil(t, r.Of[0].Rounds[0].Index)
	require.Positive(t, r.Floor.P50)
	require.Len(t, r.Engine, 2)
	for _, l := range r.Engine {
		require.Greater(t, l.Batch, l.OneByOne)
	}
	show(t, r)
}

func TestKillOverloadAndGrowth(t *testing.T) {
	p := plan{
		dir: t.TempDir(), only: []string{tocsinName}, events: 500, rounds: 1, kill: true,
		overload: time.Second, grow: []int{0, 1000}, progress: logged{t},
	}
	r, err := p.run(t.Context())
	require.NoError(t, err)
	dead := r.Of[0].Killed
	require.Zero(t, dead.Lost+dead.Twice+dead.Wrong, "%+v", dead)
	require.Positive(t, dead.Answer)
	require.Zero(t, r.Overload.Lost+r.Overload.Silent, "%+v", r.Overload)
	require.Len(t, r.Growth, 2)
	for _, g := range r.Growth {
		require.True(t, g.Round.exact(), "%+v", g)
	}
	require.GreaterOrEqual(t, r.Growth[1].Records, uint64(1000))
	show(t, r)
}

func TestWorkload(t *testing.T) {
	j, err := newJudge()
	require.NoError(t, err)
	l := load{prefix: "w", events: 1000, at: time.Now()}
	grave, invalid := 0, 0
	for i := range l.events {
		m := l.message(i)
		require.InDelta(t, 1000, len(m.Data), 100)
		records, err := j.records(m.Data)
		require.NoError(t, err)
		at := event.ParseSubject(records[0].subject)
		switch {
		case l.invalid(i):
			invalid++
			require.Len(t, records, 1)
			require.Empty(t, at.Kind)
		case l.grave(i):
			grave++
			require.Len(t, records, 1+len(desks))
		default:
			require.Len(t, records, 1)
		}
		if !l.invalid(i) {
			require.Equal(t, event.KindGraded, at.Kind)
			n, ours := l.index(at.Incident)
			require.True(t, ours)
			require.Equal(t, i, n)
		}
	}
	require.Equal(t, graves(l.events), grave)
	require.Equal(t, invalids(l.events), invalid)
}
