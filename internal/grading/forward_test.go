package grading

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// confirming makes the protection department for energy confirm its forwards.
var confirming = []string{
	`forward: automatic, authority: "Example authorisation 2025-1, energy"`,
	`forward: confirm, authority: "Example authorisation 2025-1, energy"`,
}

// act returns a desk's act on the incident of taken.
func act(kind, id, desk, at string) *event.DeskAct {
	return &event.DeskAct{Kind: kind, ID: id, Desk: desk, Operator: "grid-east", Incident: "x", Officer: "post " + id, Reason: "because " + id, At: on(at)}
}

func confirm(id, to, at string) *event.DeskAct {
	a := act(event.KindConfirmed, id, "protection-energy", at)
	a.To = to
	return a
}

func determine(id, desk, at string, g event.Grade) *event.DeskAct {
	a := act(event.KindDetermined, id, desk, at)
	a.Grade = g
	return a
}

// pendingOf lists the pending forwards as "to since remind until" of a revision.
func pendingOf(g *event.Graded) []string {
	var out []string
	for _, h := range g.PendingForwards {
		out = append(out, h.To+" "+hhmm(&h.Since)+" "+hhmm(&h.Remind)+" "+hhmm(&h.Until))
	}
	return out
}

// forwards lists "desk verified officer" of the forwards that a revision makes.
func forwards(g *event.Graded) []string {
	out := []string{}
	for _, e := range g.Escalations {
		for _, d := range e.Duties {
			if d.OnBehalf == nil {
				continue
			}
			line := e.Desk + " unverified"
			if d.OnBehalf.Verified {
				line = e.Desk + " verified by " + d.OnBehalf.Officer
			}
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}

// pendingMajor returns a major incident, received at nine.
func pendingMajor(t *testing.T) *story {
	s := tell(t, rulebook(t, confirming...))
	g := s.fold(taken("initial", "r1", nine, onSite+","+major))
	require.Equal(t, bothPending, pendingOf(g))
	require.Equal(t, []string{"protection-energy report", "sh-public-security report"}, reached(g), "the national desks are not told at once")
	require.Equal(t, "09:27:00", hhmm(g.RegradeAt))
	return s
}

var (
	bothPending = []string{"national-cyberspace 09:00:00 09:15:00 09:27:00", "national-public-security 09:00:00 09:15:00 09:27:00"}
	bothSent    = []string{"national-cyberspace unverified", "national-public-security unverified"}
)

func TestAForwardAwaitsAPerson(t *testing.T) {
	s := pendingMajor(t)
	asked := map[string]int{}
	for _, e := range s.last.Escalations {
		asked[e.Desk] += len(e.PendingForwards)
		for _, h := range e.PendingForwards {
			require.Equal(t, "protection-energy", h.Desk)
			require.Len(t, h.Duties, 1)
			require.Equal(t, "09:30:00", hhmm(h.Duties[0].DueAt))
			require.False(t, h.Duties[0].OnBehalf.Verified)
		}
	}
	require.Equal(t, map[string]int{"protection-energy": 2, "sh-public-security": 0}, asked, "only the desk that forwards is asked")
	require.Equal(t, "09:30", due(t, s.last, toNational), "it is owed, pending or not")

	g := s.elapse()
	require.Equal(t, "09:27:00", hhmm(&g.At))
	require.Empty(t, g.PendingForwards)
	require.Equal(t, bothSent, forwards(g))
	require.Equal(t, []string{"national-cyberspace forward", "national-public-security forward"}, reached(g), "nothing is new for the others")
	require.Equal(t, "09:30", due(t, g, toNational))
	require.Nil(t, g.RegradeAt)
	require.Nil(t, s.elapsed(on("09:27")))
}

func TestAConfirmedForwardGoesAtOnce(t *testing.T) {
	s := pendingMajor(t)
	g := s.fold(confirm("c", "", "09:10"))
	require.Empty(t, g.PendingForwards)
	require.Nil(t, g.RegradeAt)
	require.Equal(t, []string{"national-cyberspace verified by post c", "national-public-security verified by post c"}, forwards(g))
	require.Equal(t, []string{"national-cyberspace forward", "national-public-security forward"}, reached(g), "the others are not disturbed")
	require.Equal(t, "09:30", due(t, g, toNational))
	require.Equal(t, "post c", g.Cause.Officer)
	require.Nil(t, s.elapsed(on("09:27")))
	g = s.fold(next("r2", "09:20", `"cause":"x"`))
	require.Equal(t, []string{"national-cyberspace update", "national-public-security update", "protection-energy update", "sh-public-security update"}, reached(g))
	verified := map[string]bool{}
	for _, d := range g.Duties {
		if d.OnBehalf != nil {
			verified[d.Desk] = d.OnBehalf.Verified
		}
	}
	require.Equal(t, map[string]bool{"national-cyberspace": true, "national-public-security": true}, verified, "and stays so")
}

func TestAConfirmationToOneDeskOpensThatLegOnly(t *testing.T) {
	s := pendingMajor(t)
	g := s.fold(confirm("c", "national-public-security", "09:10"))
	require.Equal(t, bothPending[:1], pendingOf(g))
	require.Equal(t, []string{"national-public-security forward"}, reached(g))
	require.Equal(t, "09:27:00", hhmm(g.RegradeAt))
	g = s.elapse()
	require.Equal(t, []string{"national-cyberspace forward"}, reached(g))
	require.Equal(t, []string{"national-cyberspace unverified"}, forwards(g))
}

func TestWhatIsHeldIsNotHeldLonger(t *testing.T) {
	s := pendingMajor(t)
	g := s.fold(next("r2", "09:20", `"cause":"x","discoveredAt":"2026-03-02T09:10:00+08:00"`))
	require.Equal(t, bothPending, pendingOf(g), "a further report does not extend it")
	require.Equal(t, []string{"protection-energy update", "sh-public-security update"}, reached(g))
	g = s.fold(next("r3", "09:25", `"ownGrade":"especially-grave"`))
	require.Equal(t, event.EspeciallyGrave, g.Grade)
	require.Equal(t, bothPending, pendingOf(g), "nor does a graver grade")
	require.Len(t, g.PendingForwards[0].Duties, 2)
	require.Equal(t, bothSent, forwards(s.elapse()))
}

func TestALegOnceOpenStaysOpen(t *testing.T) {
	grave := func(at string) *event.Accepted { return next("g"+at, at, `"ownGrade":"especially-grave"`) }
	s := pendingMajor(t)
	s.elapse()
	g := s.fold(grave("10:00"))
	require.Empty(t, g.PendingForwards)
	require.Equal(t, bothSent, forwards(g))

	// Also if the grade fell, or the incident was withdrawn, in between: the desk was
	// told, and is told of later revisions.
	for name, between := range map[string]any{
		"lowered":   next("r2", "09:40", `"facts":{"outage":[]}`),
		"withdrawn": taken("withdrawal", "r2", on("09:40"), `"reason":"false-alarm"`),
	} {
		t.Run(name, func(t *testing.T) {
			s := pendingMajor(t)
			s.elapse()
			s.fold(between)
			require.Empty(t, s.last.PendingForwards)
			g := s.fold(next("r3", "09:50", major))
			require.Equal(t, event.Major, g.Grade)
			require.Empty(t, g.PendingForwards)
			require.Len(t, g.Escalations, 4)
		})
	}
}

// A confirmation covers what was owed when it was made. Later duties on an open leg go at
// once, but unverified; a leg that was not confirmed stays pending.
func TestAConfirmationDoesNotVouchForWhatComesLater(t *testing.T) {
	s := pendingMajor(t)
	s.fold(confirm("c", "", "09:10"))
	g := s.fold(next("r2", "10:00", `"ownGrade":"especially-grave"`))
	require.Equal(t, bothSent, forwards(g))

	// Confirmed too late, and lowered already: the next time confirmation is required
	// again.
	s = pendingMajor(t)
	s.fold(determine("d", "protection-energy", "09:09", event.General))
	s.fold(confirm("c", "", "09:10"))
	g = s.fold(determine("e", "protection-energy", "09:20", event.Major))
	require.Equal(t, []string{"national-cyberspace 09:20:00 09:35:00 09:47:00", "national-public-security 09:20:00 09:35:00 09:47:00"}, pendingOf(g))
	g = s.fold(confirm("f", "", "09:21"))
	require.Equal(t, []string{"national-cyberspace verified by post f", "national-public-security verified by post f"}, forwards(g))
}

func TestWhatIsDeterminedLowerIsNeverForwarded(t *testing.T) {
	s := pendingMajor(t)
	g := s.fold(determine("d", "protection-energy", "09:20", event.RelativelyLarge))
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Empty(t, g.PendingForwards)
	require.Nil(t, g.RegradeAt)
	require.Nil(t, s.elapsed(on("09:27")))
	require.Equal(t, []string{"protection-energy update", "sh-public-security update"}, reached(g))
	require.Contains(t, g.Change.Reason, "because d")

	s = pendingMajor(t) // or withdrawn
	g = s.fold(taken("withdrawal", "r2", on("09:20"), `"reason":"false-alarm"`))
	require.Empty(t, g.PendingForwards)
	require.Nil(t, s.elapsed(on("09:27")))
	g = s.fold(next("r3", "09:40", `"cause":"no false alarm"`))
	require.Equal(t, []string{"national-cyberspace 09:40:00 09:55:00 10:07:00", "national-public-security 09:40:00 09:55:00 10:07:00"}, pendingOf(g), "received again")
}

// A report or an act after the time has passed, but before the moment is folded.
func TestAHeldForwardWhoseTimeHasPassed(t *testing.T) {
	s := pendingMajor(t)
	g := s.fold(next("r2", "09:28", `"cause":"x"`))
	require.Empty(t, g.PendingForwards)
	require.Equal(t, bothSent, forwards(g))
	require.Nil(t, s.elapsed(on("09:27")))

	s = pendingMajor(t)
	g = s.fold(confirm("c", "", "09:28"))
	require.Equal(t, []string{"national-cyberspace verified by post c", "national-public-security verified by post c"}, forwards(g))
	require.Nil(t, s.elapsed(on("09:27")))

	s = pendingMajor(t)
	s.elapse()
	g = s.fold(confirm("c", "", "09:28"))
	require.Empty(t, g.Escalations, "it has gone; that somebody looked is kept")
	onBehalf := slices.DeleteFunc(slices.Clone(g.Duties), func(d event.Duty) bool { return d.OnBehalf == nil })
	require.NotEmpty(t, onBehalf)
	for _, d := range onBehalf {
		require.True(t, d.OnBehalf.Verified, d.Duty)
	}
}

// Forwards triggered by time alone are pending from the moment, however late it is folded.
func TestWhatTimeBringsAboutIsHeldFromTheMoment(t *testing.T) {
	want := []string{"national-cyberspace 10:00:00 10:15:00 10:27:00", "national-public-security 10:00:00 10:15:00 10:27:00"}
	s := tell(t, rulebook(t, confirming...))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	require.Equal(t, want, pendingOf(s.elapse()))
	require.Equal(t, "10:27:00", hhmm(s.last.RegradeAt), "sooner than the next grade")
	g := s.elapse()
	require.Equal(t, bothSent, forwards(g))
	require.Equal(t, "15:00:00", hhmm(g.RegradeAt))

	s = tell(t, rulebook(t, confirming...))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	require.Equal(t, want, pendingOf(s.fold(next("r2", "10:10", `"cause":"x"`))))
	require.Equal(t, bothSent, forwards(s.fold(next("r3", "10:28", `"cause":"y"`))))

	s = tell(t, rulebook(t, confirming...)) // down for hours, all moments at once
	s.fold(initial("09:05", dispatch+lasting))
	s.elapsed(on("09:10"))
	s.fold(next("r2", "14:00", `"cause":"x"`))
	require.Equal(t, bothSent, forwards(s.last))
	require.Equal(t, "10:30", due(t, s.last, toNational), "late, and it shows")
}

// If no line gives a number, the house's target counts.
func TestAPromptForwardIsHeldByTheTargetOfTheHouse(t *testing.T) {
	s := tell(t, rulebook(t, confirming...))
	g := s.fold(taken("initial", "r1", nine, onSite+`,"about":"threat","ownGrade":"especially-grave"`))
	require.Equal(t, bothPending, pendingOf(g))
	require.Equal(t, bothSent, forwards(s.elapse()))
}
