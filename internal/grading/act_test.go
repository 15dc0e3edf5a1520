package grading

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestADeterminationRaises(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+","+large))
	g := s.fold(determine("d", "protection-energy", "09:20", event.Major))
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, event.ChangeRaised, g.Change.Kind)
	require.Equal(t, "determined by protection-energy: because d", g.Change.Reason)
	require.Equal(t, []string{"national-cyberspace forward", "national-public-security forward", "protection-energy report", "sh-public-security report"}, reached(g))
	require.Equal(t, "09:50", due(t, g, toNational), "from the determination")
	require.Equal(t, "09:40", due(t, g, toProtection), "as before")
	require.Equal(t, "protection-energy post d", g.Cause.Desk+" "+g.Cause.Officer)
	require.Equal(t, "tocsin.incident.determined.v1", g.Cause.Type)
	require.Equal(t, event.RelativelyLarge, g.Statutes[1].Computed)
}

func TestADeterminationLowersAndRecallsNothing(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+","+major))
	g := s.fold(determine("d", "protection-energy", "09:20", event.General))
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, event.Major, g.Peak)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, "determined by protection-energy: because d", g.Change.Reason)
	require.Equal(t, []string{"national-cyberspace update", "national-public-security update", "protection-energy update", "sh-public-security update"}, reached(g))
	require.Empty(t, g.Duties)
	require.Len(t, g.Owed, 2, "what was owed is owed on")

	g = s.fold(next("r2", "09:30", major+`,"cause":"C"`))
	require.Equal(t, event.General, g.Grade, "it stands against equal facts")
	g = s.fold(next("r3", "09:40", `"ownGrade":"especially-grave"`))
	require.Equal(t, event.General, g.Grade, "and against the operator")
	g = s.fold(next("r4", "09:50", `"facts":{"peopleAffected":100000}`))
	require.Equal(t, event.RelativelyLarge, g.Grade, "what it did not judge counts")
	require.Equal(t, "10:50 strictly 09:40", due(t, g, toProtection))
}

func TestTimeGoesOnUnderADetermination(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	s.elapse()
	g := s.fold(determine("d", "protection-energy", "10:20", event.General))
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, "15:00:00", hhmm(g.RegradeAt), "an hour was judged, six hours were not")
	g = s.elapse()
	require.Equal(t, event.EspeciallyGrave, g.Grade)
	require.Len(t, g.Escalations, 4)
}

// Time can meet criteria without raising a grade that is already above them, and then no
// revision is made. A determination covers them all the same.
func TestADeterminationJudgesWhatTimeHasMet(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+`"facts":{"peopleAffected":1000000,"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00"}]}`))
	require.Equal(t, event.Major, s.last.Grade)
	require.Equal(t, "15:00:00", hhmm(s.last.RegradeAt))
	g := s.fold(determine("d", "protection-energy", "09:30", event.General))
	require.Equal(t, event.General, g.Grade, "half an hour of outage was met when it was made")
	require.Contains(t, g.State.Determined.Over, "cn-csirm-2025/cii-overall-outage-relatively-large")
	require.Equal(t, "10:00:00", hhmm(g.RegradeAt), "an hour was not")

	s = tell(t, rulebook(t)) // nor does it matter whether the moment is folded yet
	s.fold(initial("09:05", dispatch+lasting))
	require.Equal(t, event.General, s.fold(determine("d", "protection-energy", "09:10:01", event.General)).Grade)
	require.Nil(t, s.elapsed(on("09:10")))
}

// hydro is an incident of a prefecture's unit in Xinjiang, told to desks of every level.
func hydro(t require.TestingT, rb Rulebook) *story {
	s := tell(t, rb)
	a := taken("initial", "r1", nine, `"facilities":["station-3"],"discoveredAt":"2026-03-02T08:40:00+08:00",`+lasting)
	a.Operator = "xj-hydro"
	s.fold(a)
	return s
}

func TestAHigherLevelStands(t *testing.T) {
	of := func(id, desk, at string, g event.Grade) *event.DeskAct {
		a := determine(id, desk, at, g)
		a.Operator = "xj-hydro"
		return a
	}
	s := hydro(t, rulebook(t))
	s.fold(of("u", "urumqi-cyberspace", "09:01", event.RelativelyLarge))
	s.fold(of("x", "xj-cyberspace", "09:02", event.Major))
	g := s.fold(of("v", "urumqi-cyberspace", "09:03", event.General))
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, "xj-cyberspace", g.State.Determined.Desk)
	require.Equal(t, "determined by urumqi-cyberspace: because v (what xj-cyberspace determined stands)", g.Change.Reason)
	require.Len(t, g.Escalations, 6, "its reason goes to everyone told")
	g = s.fold(of("y", "xj-cyberspace", "09:04", event.RelativelyLarge))
	require.Equal(t, event.RelativelyLarge, g.Grade, "the same level thinks again")
	g = s.fold(of("w", "protection-water", "09:05", event.General))
	require.Equal(t, event.General, g.Grade)
}

// State, grade and duties do not depend on the order in which acts are folded.
func TestPropertyTheOrderOfActsDoesNotMatter(t *testing.T) {
	rb := rulebook(t)
	desks := []string{"urumqi-cyberspace", "xj-cyberspace", "protection-water", "national-cyberspace", "xj-public-security"}
	rapid.Check(t, func(t *rapid.T) {
		acts := make([]*event.DeskAct, rapid.IntRange(1, 6).Draw(t, "acts"))
		order := make([]int, len(acts))
		at := nine
		for i := range acts {
			order[i] = i
			sc := &script{t: t, i: i + 2}
			acts[i] = sc.act()
			at = at.Add(rapid.SampledFrom(passes[:7]).Draw(t, sc.label("passes")))
			acts[i].Operator, acts[i].Desk, acts[i].At = "xj-hydro", sc.pick("desk", desks), at
		}
		play := func(order []int) *event.Graded {
			s := hydro(t, rb)
			for n, i := range order {
				var aside []uint64 // causes that a later one overtook
				for _, missed := range order[n+1:] {
					if slices.Max(order[:n+1]) > missed {
						aside = append(aside, uint64(11+missed))
					}
				}
				g, err := rb.Revise(s.last, cause(uint64(11+i), acts[i]), aside)
				require.NoError(t, err)
				again, err := rb.Revise(g, cause(uint64(11+i), acts[i]), aside)
				require.NoError(t, err)
				require.Equal(t, g.State, again.State, "a repeat changes nothing")
				require.Equal(t, g.Statutes, again.Statutes)
				if acts[i].Kind != event.KindDetermined {
					require.Empty(t, again.Escalations, "nor is it told twice")
				}
				s.last = g
			}
			return s.last
		}
		want := play(order)
		got := play(rapid.Permutation(order).Draw(t, "order"))
		require.Equal(t, want.State, got.State)
		require.Equal(t, want.Statutes, got.Statutes)
		require.Equal(t, slices.Sorted(mapKeys(dues(want))), slices.Sorted(mapKeys(dues(got))), "the times are those of the history")
	})
}

func transfer(id, from, to, at string) *event.DeskAct {
	a := act(event.KindTransferred, id, from, at)
	a.To = to
	return a
}

func TestAnIncidentIsHandedOn(t *testing.T) {
	// Public security may read less than the protection department.
	rb := withPack(t, rulebook(t), "cn-csirm-2025",
		"- id: cii-operator-to-public-security\n", "- id: cii-operator-to-public-security\n    items: [title, facts.outage]\n",
		"- id: cii-operator-to-protection\n", "- id: cii-operator-to-protection\n    items: [title, cause, impact]\n")
	of := func(g *event.Graded, desk string) event.Escalation {
		i := slices.IndexFunc(g.Escalations, func(e event.Escalation) bool { return e.Desk == desk })
		require.GreaterOrEqual(t, i, 0, "%s in %s", desk, reached(g))
		return g.Escalations[i]
	}
	s := tell(t, rb)
	s.fold(taken("initial", "r1", nine, onSite+`,"cause":"C",`+large))
	g := s.fold(transfer("t", "sh-public-security", "js-public-security", "09:10"))
	require.Equal(t, []string{"js-public-security transfer"}, reached(g), "nobody else is disturbed")
	e := of(g, "js-public-security")
	require.Equal(t, []string{"title", "facts.outage"}, e.Items)
	require.Equal(t, "sh-public-security", e.From)
	require.Equal(t, "post t because t", e.Transfer.Officer+" "+e.Transfer.Reason)
	require.Empty(t, e.Duties)
	require.NotNil(t, e.AcknowledgeDefault)

	g = s.fold(next("r2", "09:20", `"cause":"D"`))
	e = of(g, "js-public-security")
	require.Equal(t, event.ActUpdate, e.Act)
	require.Equal(t, []string{"title", "facts.outage"}, e.Items)
	require.Nil(t, e.Transfer)
	require.Len(t, g.Escalations, 3)

	g = s.fold(transfer("u", "protection-energy", "js-public-security", "09:30"))
	e = of(g, "js-public-security")
	require.Equal(t, event.ActTransfer, e.Act)
	require.Equal(t, []string{"title", "facts.outage", "cause", "impact"}, e.Items, "what it was told once, it is told on")
	g = s.fold(transfer("v", "js-public-security", "gd-public-security", "09:40"))
	require.Equal(t, []string{"gd-public-security transfer"}, reached(g), "handed on again")
	require.Equal(t, e.Items, g.Escalations[0].Items)

	g = s.fold(transfer("w", "sh-public-security", "protection-energy", "09:50"))
	require.Equal(t, []string{"protection-energy transfer"}, reached(g))
	require.Equal(t, []string{"title", "cause", "impact", "facts.outage"}, g.Escalations[0].Items)
	i := slices.IndexFunc(g.Told, func(told event.ToldDesk) bool { return told.Desk == "protection-energy" })
	require.Empty(t, g.Told[i].By, "the law demands that it is told")

	g = s.fold(transfer("z", "bj-cyberspace", "bj-public-security", "09:55"))
	require.Empty(t, g.Escalations, "one that was never told has nothing to hand on")
	require.Len(t, s.fold(next("r3", "10:00", `"cause":"E"`)).Escalations, 4)
}

func TestAnActNeedsAnIncident(t *testing.T) {
	rb := rulebook(t)
	_, err := rb.Revise(nil, cause(1, determine("d", "protection-energy", "09:20", event.Major)), nil)
	require.ErrorContains(t, err, "grid-east/x")
	_, err = rb.Revise(nil, cause(1, &event.Elapsed{Operator: "grid-east", Incident: "x", At: nine}), nil)
	require.Error(t, err)
}

// A revision that is encoded and decoded is the same, whatever its cause.
func TestPropertyReviseFromWhatWasWrittenWhateverTheCause(t *testing.T) {
	rb := rulebook(t, confirming...)
	rapid.Check(t, func(t *rapid.T) {
		straight, written := tell(t, rb), tell(t, rb)
		sc := &script{t: t, now: nine.Add(5 * time.Minute)}
		read := func(g *event.Graded) string {
			if g == nil {
				return "none"
			}
			raw, err := json.Marshal(g)
			require.NoError(t, err)
			written.last = new(event.Graded)
			require.NoError(t, json.Unmarshal(raw, written.last))
			return string(raw)
		}
		for range rapid.IntRange(2, 7).Draw(t, "causes") {
			c := sc.cause()
			for straight.last != nil && straight.last.RegradeAt != nil && !straight.last.RegradeAt.After(sc.now) && rapid.Bool().Draw(t, fmt.Sprint("look ", straight.seq)) {
				at := *straight.last.RegradeAt
				g := straight.elapsed(at)
				want, err := json.Marshal(g)
				require.NoError(t, err)
				require.Equal(t, string(want), read(written.elapsed(at)))
			}
			raw, err := json.Marshal(c) // the cause is decoded from the ledger too
			require.NoError(t, err)
			var again any = new(event.Accepted)
			if _, ok := c.(*event.DeskAct); ok {
				again = new(event.DeskAct)
			}
			require.NoError(t, json.Unmarshal(raw, again))
			want, err := json.Marshal(straight.fold(c))
			require.NoError(t, err)
			require.Equal(t, string(want), read(written.fold(again)))
		}
	})
}

// Every desk told is told of all news, of no duty twice, and nothing that is owed and not
// pending stays untold.
func TestPropertyNobodyIsForgotten(t *testing.T) {
	rb := rulebook(t, confirming...)
	rapid.Check(t, func(t *rapid.T) {
		s := tell(t, rb)
		sc := &script{t: t, now: nine.Add(5 * time.Minute)}
		under := map[string]bool{}
		check := func(before, g *event.Graded) {
			if g == nil {
				return
			}
			reached := map[string]event.Escalation{}
			for _, e := range g.Escalations {
				require.NotContains(t, reached, e.Desk)
				reached[e.Desk] = e
				require.Equal(t, len(e.Duties) == 0, e.Act == event.ActUpdate || e.Act == event.ActTransfer)
				for _, d := range e.Duties {
					require.False(t, isPending(g, d), "a pending forward was told")
					fresh := false
					for _, f := range d.Facilities {
						key := fmt.Sprint(e.Desk, d.Statute, d.Duty, d.From, f)
						fresh = fresh || !under[key]
						under[key] = true
					}
					require.True(t, fresh)
				}
			}
			for _, d := range g.Duties {
				for _, f := range d.Facilities {
					key := fmt.Sprint(d.Desk, d.Statute, d.Duty, d.From, f)
					require.True(t, under[key] || isPending(g, d), "%s is owed and nobody is told", key)
				}
			}
			if before != nil && (!sameGrades(before, g) || before.Withdrawal == nil && g.Withdrawal != nil) && g.Withdrawal == nil {
				for _, told := range before.Told {
					require.Contains(t, reached, told.Desk)
				}
			}
		}
		for range rapid.IntRange(2, 7).Draw(t, "causes") {
			c := sc.cause()
			for s.last != nil && s.last.RegradeAt != nil && !s.last.RegradeAt.After(sc.now) && rapid.Bool().Draw(t, fmt.Sprint("look ", s.seq)) {
				before := s.last
				check(before, s.elapse())
			}
			before := s.last
			check(before, s.fold(c))
		}
	})
}
