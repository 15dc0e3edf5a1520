package statute

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// reachedUnder is the grade under each pack, by its id.
func reachedUnder(a event.Assessment) map[string]event.Grade {
	out := map[string]event.Grade{}
	for _, sg := range a.Statutes {
		out[sg.Statute] = sg.Grade
	}
	return out
}

// The gravest grade may stand while one under another pack rises.
func TestNextRiseSeesEveryPack(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","since":"2026-03-01T07:55:00+08:00"}]`))
	for _, after := range []time.Duration{5 * time.Minute, 55 * time.Minute, 355 * time.Minute} {
		at := s.NextRise(c, t0)
		require.NotNil(t, at)
		assert.True(t, at.Equal(t0.Add(after)), at)
		at = s.NextRise(c, at.Add(-1))
		assert.True(t, at.Equal(t0.Add(after)), "up to the last nanosecond")
		c = determined(s, c, event.General, t0.Add(after)) // and what a department judged rises no more
	}
	assert.Nil(t, s.NextRise(c, t0))
	ended := caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","duration":{"atLeast":"PT5M"}}]`))
	assert.Nil(t, s.NextRise(ended, t0), "of a bound nobody knows when it grows")
}

func TestPropertyNextRiseIsTheFirstUnderAnyPack(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		if rapid.Bool().Draw(t, "determined") {
			earlier := t0.Add(-rapid.SampledFrom(lengths).Draw(t, "before"))
			c = determined(s, c, event.Grade(rapid.IntRange(1, 4).Draw(t, "by a department")), earlier)
		}
		now := t0
		for steps := 0; ; steps++ {
			require.Less(t, steps, 20)
			a := s.Assess(c, now)
			at := s.NextRise(c, now)
			if at == nil {
				require.Nil(t, a.Next)
				require.Equal(t, reachedUnder(a), reachedUnder(s.Assess(c, now.AddDate(1, 0, 0))), "time never raises any")
				return
			}
			require.True(t, at.After(now))
			if a.Next != nil {
				require.False(t, at.After(a.Next.At))
			}
			require.Equal(t, reachedUnder(a), reachedUnder(s.Assess(c, at.Add(-1))))
			after, risen := reachedUnder(s.Assess(c, *at)), []string{}
			for id, g := range reachedUnder(a) {
				require.GreaterOrEqual(t, after[id], g)
				if after[id] > g {
					risen = append(risen, id)
				}
			}
			require.NotEmpty(t, risen)
			slices.Reverse(c.Facilities)
			require.Equal(t, at, s.NextRise(c, now), "the order of a list says nothing")
			now = *at
		}
	})
}
