package grading

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// inForceFrom is the first moment of the Measures.
var inForceFrom = time.Date(2025, 11, 1, 0, 0, 0, 0, event.Beijing)

func found(at time.Time, facts string) string {
	return fmt.Sprintf(`"facilities":["dispatch"],"discoveredAt":%q,%s`, at.Format(time.RFC3339Nano), facts)
}

func lastingSince(at time.Time) string {
	return fmt.Sprintf(`"facts":{"outage":[{"scope":"overall","since":%q}]}`, at.Format(time.RFC3339))
}

func basisOf(g *event.Graded, statute string) event.Basis {
	for _, i := range g.Law {
		if i.Statute == statute {
			return i.Basis
		}
	}
	return ""
}

// An incident found before the Measures were in force is graded without them, and no
// report of it is late by them.
func TestRevise_FoundBeforeTheLaw(t *testing.T) {
	rb := rulebook(t)
	for before, want := range map[time.Duration]struct {
		basis event.Basis
		grade event.Grade
		late  int
	}{
		time.Nanosecond: {event.BasisNotYet, event.General, 0},
		0:               {event.BasisDiscovered, event.Major, 1},
	} {
		a := taken("initial", "r1", nine, found(inForceFrom.Add(-before), major))
		g := revise(t, rb, a)[0]
		require.Equal(t, want.basis, basisOf(g, "cn-csirm-2025"))
		require.Equal(t, want.grade, g.Grade)
		late, err := lateOf(rb, a)
		require.NoError(t, err)
		require.Len(t, late, want.late)
		_, named := g.Rules.Packs["cn-csirm-2025"]
		require.Equal(t, want.basis.Applies(), named)
		for _, d := range g.Duties {
			require.False(t, d.DueAt != nil && d.DueAt.Before(inForceFrom))
		}
	}
}

// An outage that lasts into the first day of the Measures comes under them at that
// moment, and its limits start there, whenever it is reported.
func TestRevise_LastingIntoTheLaw(t *testing.T) {
	began := inForceFrom.Add(-3 * time.Hour)
	const first = "00:00:00"
	s := tell(t, rulebook(t))
	g := s.fold(taken("initial", "r1", began.Add(time.Minute), found(began, lastingSince(began))))
	require.Equal(t, event.BasisNotYet, basisOf(g, "cn-csirm-2025"))
	require.Empty(t, g.Duties)
	require.Equal(t, first, hhmm(g.RegradeAt))
	g = s.elapse()
	require.Equal(t, event.BasisContinuing, basisOf(g, "cn-csirm-2025"))
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, "01:00 strictly 01:00", due(t, g, toProtection))
	require.Equal(t, "00:30", due(t, g, toNational))

	late := taken("initial", "r1", inForceFrom.Add(90*time.Minute), found(began, lastingSince(began)))
	g = revise(t, rulebook(t), late)[0]
	require.Equal(t, "01:00", due(t, g, toProtection))
	by, err := lateOf(rulebook(t), late)
	require.NoError(t, err)
	require.Equal(t, event.Duration(30*time.Minute), by[0].By)
	out, err := rulebook(t).Outlook(late, reportOf(t, late))
	require.NoError(t, err)
	require.Equal(t, g.Law, out.Law, "the receipt says what the record says")
}

// A final summary is never due before the law that demands it.
func TestFollowUp_HandledBeforeTheLaw(t *testing.T) {
	began := inForceFrom.Add(-3 * time.Hour)
	g := revise(t, rulebook(t), taken("initial", "r1", inForceFrom.Add(time.Hour),
		found(began, fmt.Sprintf(`"handledAt":%q,%s`, began.Add(time.Minute).Format(time.RFC3339), lastingSince(began)))))[0]
	i := slices.IndexFunc(g.Owed, func(o event.Obligation) bool { return o.Report == "final" })
	require.GreaterOrEqual(t, i, 0, "a final summary is owed")
	require.True(t, g.Owed[i].Since.Equal(inForceFrom))
}

// A correction of the discovery that takes an incident out of a law says so, as does an
// incident that an older program graded by a law of a later date.
func TestRevise_SaysWhichLawNoLongerApplies(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, found(nine, large)))
	g := s.fold(next("r2", "10:00", `"discoveredAt":"2025-10-31T23:59:59+08:00"`))
	require.Equal(t, event.General, g.Grade)
	require.Contains(t, g.Change.Reason, "; cn-csirm-2025 does not apply: in force from 2025-11-01")
	g = s.fold(next("r3", "10:01", `"cause":"x"`))
	require.NotContains(t, g.Change.Reason, "does not apply", "it is said once")
}
