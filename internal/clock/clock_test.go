package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var stamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Behind is the first instant at which ahead shows a time: never early, and no
// later than it must be.
func TestScaledWallIsTheInverseOfNow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factor := rapid.Int64Range(1, 10000).Draw(t, "factor")
		d := time.Duration(rapid.Int64Range(1, int64(1000*time.Hour)).Draw(t, "d"))
		at := behind(stamp, d, factor)
		shown := ahead(stamp, at.Sub(stamp), factor)
		require.False(t, shown.Before(stamp.Add(d)), "early")
		require.True(t, ahead(stamp, at.Sub(stamp)-1, factor).Before(stamp.Add(d)), "later than it must be")
		require.Equal(t, at, behind(stamp, shown.Sub(stamp), factor))
	})
}

func TestScaledIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factor := rapid.Int64Range(1, 10000).Draw(t, "factor")
		a := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "a"))
		b := a + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))
		require.False(t, ahead(stamp, b, factor).Before(ahead(stamp, a, factor)))
		require.False(t, behind(stamp, b, factor).Before(behind(stamp, a, factor)))
	})
}

func TestScaledRunsFromItsStart(t *testing.T) {
	s := NewScaled(1000)
	require.WithinDuration(t, time.Now(), s.Now(), time.Second)
	require.Equal(t, stamp, Wall(s, stamp))
	s.Start()
	began := s.started()
	s.Start()
	require.Equal(t, began, s.started(), "a second start does nothing")
	for last := s.Now(); time.Since(began) < 50*time.Millisecond; {
		now := s.Now()
		require.False(t, now.Before(last))
		require.Equal(t, now, now.UTC().Round(0), "what is written and read back compares equal")
		last = now
	}
	assert.GreaterOrEqual(t, s.Now().Sub(began), 50*time.Second)
	in := s.Now().Add(time.Hour)
	assert.InDelta(t, 3.6, Until(s, in).Seconds(), 0.5)
	require.Equal(t, stamp, Wall(s, stamp), "what is past stays past")
}

func TestWallOfTheOthers(t *testing.T) {
	require.Equal(t, stamp, Wall(System{}, stamp))
	m := NewManual(stamp)
	m.Advance(time.Minute)
	assert.InDelta(t, 60, Until(m, stamp.Add(2*time.Minute)).Seconds(), 0.5)
	assert.InDelta(t, -60, Until(m, stamp).Seconds(), 0.5)
}
