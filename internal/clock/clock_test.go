package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var stamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// anchored returns a clock with an arbitrary anchor: of a drill that has just begun, of
// one far ahead, or of one whose machine was wrong.
func anchored(t *rapid.T) scale {
	ago := rapid.OneOf(rapid.Int64Range(-int64(time.Second), int64(time.Second)), rapid.Int64Range(-int64(1000*time.Hour), int64(1000*time.Hour)))
	return scale{
		from: stamp.Add(time.Duration(ago.Draw(t, "from"))), at: stamp,
		factor: rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, 10000)).Draw(t, "factor"),
	}
}

func anyTime(t *rapid.T, name string) time.Time {
	return stamp.Add(time.Duration(rapid.Int64Range(-int64(5000*time.Hour), int64(5000*time.Hour)).Draw(t, name)))
}

// reaches returns the first time at which the clock shows a time: never early, and no
// later than necessary.
func TestScaled_WallIsTheInverseOfNow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, want := anchored(t), anyTime(t, "want")
		at := p.machineAt(want)
		require.False(t, p.clockAt(at).Before(want), "early")
		require.True(t, p.clockAt(at.Add(-1)).Before(want), "later than it must be")
		require.Equal(t, at, p.machineAt(p.clockAt(at)), "the first that shows it")
	})
}

func TestScaled_IsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, a := anchored(t), anyTime(t, "a")
		b := a.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more")))
		require.False(t, p.clockAt(b).Before(p.clockAt(a)))
		require.False(t, p.machineAt(b).Before(p.machineAt(a)))
		require.False(t, p.clockAt(a).Before(a), "never behind the machine")
	})
}

// A drill over any number of restarts: each process anchors its clock at a record of an
// earlier one, which was stamped by that one's clock and stored a while later. The new
// clock is never behind that record, and behind the earlier clock by no more than that
// while at its pace.
func TestScaled_ContinuesFromARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, machine := scale{stamp, stamp, rapid.Int64Range(1, 10000).Draw(t, "first factor")}, stamp
		for range rapid.IntRange(1, 5).Draw(t, "restarts") {
			pass := func(name string, most time.Duration) time.Duration {
				d := time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
				machine = machine.Add(d)
				return d
			}
			pass("it runs for", time.Hour)
			record := p.clockAt(machine)
			took := pass("to store it", 5*time.Second)
			next := scale{record, machine, rapid.SampledFrom([]int64{p.factor, 1, 60, 3600}).Draw(t, "factor")}
			require.False(t, next.clockAt(machine).Before(record))
			lag := p.clockAt(machine).Sub(next.clockAt(machine))
			require.GreaterOrEqual(t, lag, time.Duration(0), "nor ahead of it")
			require.LessOrEqual(t, lag, took*time.Duration(p.factor))
			pass("nothing runs for", time.Hour)
			require.False(t, next.clockAt(machine).Before(record))
			p = next
		}
	})
}

// Processes that find the same record have the same clock, whenever they start.
func TestScaled_RunsFromItsAnchor(t *testing.T) {
	s := NewScaled(1000)
	before := System{}.Now()
	told := s.Now()
	require.False(t, told.Before(before) || told.After(System{}.Now()), "it is the machine's until it runs")
	require.Equal(t, stamp, Wall(s, stamp))
	require.False(t, s.Running())
	at := System{}.Now().Add(-time.Minute)
	from := at.Add(10 * time.Hour)
	s.Run(from, at)
	require.True(t, s.Running())
	s.Run(stamp, stamp)
	s.Start()
	require.Equal(t, scale{from, at, 1000}, s.scale, "a second start does nothing")
	other := NewScaled(1000)
	other.Run(from, at)
	for last := s.Now(); time.Since(at) < time.Minute+50*time.Millisecond; {
		now, others, again := s.Now(), other.Now(), s.Now()
		require.False(t, others.Before(now) || again.Before(others), "they agree")
		require.False(t, now.Before(last))
		require.Equal(t, now, now.UTC().Round(0), "what is written and read back compares equal")
		last = now
	}
	assert.GreaterOrEqual(t, s.Now().Sub(from), 60*1000*time.Second)
	before = System{}.Now()
	in := s.Now().Add(time.Hour)
	left := Until(s, in)
	assert.LessOrEqual(t, left, time.Hour/1000+time.Nanosecond)
	assert.GreaterOrEqual(t, left, time.Hour/1000-System{}.Now().Sub(before))
	require.Equal(t, stamp, Wall(s, stamp), "before the drill it was the machine's")
	require.Equal(t, at.Add(-time.Second), Wall(s, from.Add(-1000*time.Second)), "and in it as fast as now")
}

// The engine's clock is ahead of ours: the record is stamped in our future.
func TestScaled_NeverBehindItsAnchor(t *testing.T) {
	s := NewScaled(3600)
	at := System{}.Now().Add(40 * time.Millisecond)
	from := at.Add(10 * time.Hour)
	s.Run(from, at)
	for told := s.Now(); time.Now().Before(at); told = s.Now() {
		require.Equal(t, from, told)
	}
	require.Eventually(t, func() bool { return s.Now().After(from) }, 30*time.Second, time.Millisecond)
	ahead := s.Now().Add(time.Hour)
	s.latest = ahead // as if the machine's clock had been set back
	require.Equal(t, ahead, s.Now(), "it stands")
	require.Eventually(t, func() bool { return s.Now().After(ahead) }, 30*time.Second, time.Millisecond)
}

func TestWall_OtherClocks(t *testing.T) {
	require.Equal(t, stamp, Wall(System{}, stamp))
	m := NewManual(stamp)
	m.Advance(time.Minute)
	for _, want := range []time.Duration{time.Minute, -time.Minute} {
		before := System{}.Now()
		left := Until(m, m.Now().Add(want))
		assert.LessOrEqual(t, left, want)
		assert.GreaterOrEqual(t, left, want-System{}.Now().Sub(before))
	}
}

func TestPace(t *testing.T) {
	s := NewScaled(7200)
	require.EqualValues(t, 1, Speed(s), "before it runs it is the machine's")
	s.Start()
	require.EqualValues(t, 7200, Speed(s))
	require.EqualValues(t, 1, Speed(System{}))
	require.EqualValues(t, 1, Speed(NewManual(stamp)))
}
