package statute

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// determined returns the case after a department has set its grade over the hits at that
// time.
func determined(s *Set, c Case, g event.Grade, at time.Time) Case {
	c.Determined = &Determination{Grade: g}
	for _, h := range s.Assess(c, at).Hits {
		c.Determined.Over = append(c.Determined.Over, h.Statute+"/"+h.Criterion)
	}
	return c
}

func TestDeterminationStandsBothWays(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", `{"ownGrade":"especially-grave","facts":{"outage":[{"scope":"overall","duration":"PT1H"}]}}`)
	for _, g := range event.Grades {
		a := s.Assess(determined(s, c, g, t0), t0)
		assert.Equal(t, g, a.Grade)
		for _, sg := range a.Statutes {
			assert.Equal(t, g, sg.Grade, sg.Statute)
			assert.Equal(t, event.Major, sg.Computed, sg.Statute)
		}
		require.NotNil(t, a.Own)
		assert.False(t, a.Own.Raised, "the own grade no longer stands")
		assert.Equal(t, s.Assess(c, t0).Hits, a.Hits, "all that is met is listed, as ever")
	}
	low := determined(s, c, event.General, t0)
	assert.Empty(t, s.Owed(low, s.Assess(low, t0), t0), "duties follow")
	assert.Empty(t, followUps(s, low))
}

func TestWhatWasNotJudgedCountsAgain(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := caseOf(t, "dispatch", withFacts(`"outage":[{"scope":"overall","since":"2026-03-01T06:30:00+08:00"}]`))
	c = determined(s, c, event.General, t0) // over an outage of 90 minutes: relatively large and major
	a := s.Assess(c, t0)
	assert.Equal(t, event.General, a.Grade)
	assert.Equal(t, event.EspeciallyGrave, a.CouldBe)
	require.NotNil(t, a.Next)
	assert.Equal(t, event.EspeciallyGrave, a.Next.Grade)
	assert.True(t, a.Next.At.Equal(t0.Add(4*time.Hour+30*time.Minute)), "six hours of outage were not judged: %s", a.Next.At)
	assert.Equal(t, event.EspeciallyGrave, s.Assess(c, a.Next.At).Grade)

	c.Report.Facts.PeopleAffected = &event.Number{Value: 100_000}
	a = s.Assess(c, t0)
	assert.Equal(t, event.RelativelyLarge, a.Grade)
	assert.Equal(t, event.RelativelyLarge, under(a, "cn-csirm-2025").Grade)
	assert.Equal(t, event.General, under(a, "cn-cii-2021").Grade, "nothing new is met under it")
	assert.Equal(t, event.Major, under(a, "cn-csirm-2025").Computed)
}

// The operator's grade comes too late, but what it meets is listed.
func TestOwnGradeDoesNotRaiseADetermination(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := determined(s, caseOf(t, "dispatch", `{"about":"threat"}`), event.RelativelyLarge, t0)
	c.Report.OwnGrade = event.EspeciallyGrave
	a := s.Assess(c, t0)
	assert.Equal(t, event.RelativelyLarge, a.Grade)
	assert.Equal(t, event.RelativelyLarge, a.CouldBe, "only a judgement is open, and the department has made it")
	assert.Empty(t, a.Unknown)
	assert.NotEmpty(t, a.Hits)
	assert.Equal(t, &event.OwnGrade{Grade: event.EspeciallyGrave, Computed: event.General}, a.Own)
	a = s.Assess(caseOf(t, "dispatch", `{"about":"threat","ownGrade":"especially-grave"}`), t0)
	assert.Equal(t, event.EspeciallyGrave, a.Grade, "without one it raises")
}

// A fact that was judged and is then withdrawn leaves nothing open.
func TestWhatWasJudgedCannotBeOpen(t *testing.T) {
	s := embedded(t).InForce(t0)
	c := determined(s, caseOf(t, "records", withFacts(`"peopleAffected":10000000`)), event.Major, t0)
	c.Report.Facts.PeopleAffected = nil
	for _, u := range s.Assess(c, t0).Unknown {
		assert.NotEqual(t, "facts.peopleAffected", u.Fact)
	}
}

func TestPropertyDeterminationOverAllThatIsMetStands(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		before := s.Assess(c, t0)
		g := event.Grade(rapid.IntRange(1, 4).Draw(t, "determined"))
		c = determined(s, c, g, t0)
		a := s.Assess(c, t0)
		require.Equal(t, g, a.Grade)
		require.Equal(t, before.Hits, a.Hits)
		require.GreaterOrEqual(t, a.CouldBe, a.Grade)
		require.Len(t, a.Statutes, len(before.Statutes))
		for i, sg := range a.Statutes {
			require.Equal(t, g, sg.Grade)
			require.Equal(t, before.Statutes[i].Computed, sg.Computed)
			require.GreaterOrEqual(t, sg.CouldBe, sg.Grade)
		}
		for _, u := range a.Unknown {
			require.Greater(t, u.Grade, g)
		}
		other := c
		other.Report.OwnGrade = event.Grade(rapid.IntRange(0, 4).Draw(t, "another own"))
		require.Equal(t, g, s.Assess(other, t0).Grade, "whatever the operator judges")
	})
}

// For each pack: the department's grade, or the gravest criterion that the facts meet and
// that it did not judge.
func TestPropertyGradeUnderADetermination(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		c.Report.OwnGrade = event.Ungraded // so that every hit is met by the facts
		c = determined(s, c, event.Grade(rapid.IntRange(1, 4).Draw(t, "determined")), t0)
		judged := map[string]bool{}
		var over []string
		for _, id := range c.Determined.Over {
			if rapid.Bool().Draw(t, id) {
				over, judged[id] = append(over, id), true
			}
		}
		c.Determined.Over = over
		a := s.Assess(c, t0)
		want, all := map[string]event.Grade{}, c.Determined.Grade
		for _, sg := range a.Statutes {
			want[sg.Statute] = c.Determined.Grade
		}
		for _, h := range a.Hits {
			if !judged[h.Statute+"/"+h.Criterion] {
				want[h.Statute] = max(want[h.Statute], h.Grade)
				all = max(all, h.Grade)
			}
		}
		for _, sg := range a.Statutes {
			require.Equal(t, want[sg.Statute], sg.Grade, sg.Statute)
		}
		require.Equal(t, all, a.Grade)
		if a.Next == nil {
			require.Equal(t, a.Grade, s.Assess(c, t0.AddDate(1, 0, 0)).Grade, "time never raises it")
			return
		}
		require.Equal(t, a.Next.Grade, s.Assess(c, a.Next.At).Grade)
		require.Equal(t, a.Grade, s.Assess(c, a.Next.At.Add(-1)).Grade)
	})
}
