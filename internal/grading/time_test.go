package grading

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	dispatch = `"facilities":["dispatch"],"discoveredAt":"2026-03-02T09:02:00+08:00",`
	lasting  = `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00"}]}`
)

func ended(at string) string {
	return fmt.Sprintf(`"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00","until":"2026-03-02T%s:00+08:00"}]}`, at)
}

func initial(at, data string) *event.Accepted {
	return taken("initial", "r1", on(at), strings.TrimSuffix(data, ","))
}

func next(id, at, data string) *event.Accepted { return taken("progress", id, on(at), data) }

// The ladder of the issue: a lasting outage of CII, reported at minute five.
func TestAnOutageThatLastsRisesStepByStep(t *testing.T) {
	s := tell(t, rulebook(t))
	g := s.fold(initial("09:05", dispatch+lasting))
	require.Equal(t, event.General, g.Grade)
	require.Empty(t, g.Escalations)
	for _, step := range []struct {
		at      string
		grade   event.Grade
		reached []string
		dues    map[string]string // duty → due, strict
	}{
		{"09:10:00", event.RelativelyLarge, []string{"protection-energy report", "sh-public-security report"},
			map[string]string{toProtection: "10:10 strictly 10:02", "cii-operator-to-public-security": "10:10 strictly 10:02"}},
		{"10:00:00", event.Major, []string{"national-cyberspace forward", "national-public-security forward", "protection-energy report", "sh-public-security report"},
			map[string]string{toProtection: "10:10 strictly 10:02", toNational: "10:30", "protection-to-national-public-security": "10:30", toPromptly: "none"}},
		{"15:00:00", event.EspeciallyGrave, []string{"national-cyberspace forward", "national-public-security forward", "protection-energy update", "sh-public-security update"},
			map[string]string{toProtection: "10:10 strictly 10:02", toNational: "10:30"}},
	} {
		require.Equal(t, step.at, hhmm(s.last.RegradeAt))
		require.True(t, s.last.Next.At.Equal(*s.last.RegradeAt))
		g = s.elapse()
		require.Equal(t, step.grade, g.Grade, step.at)
		require.Equal(t, event.ChangeRaised, g.Change.Kind)
		require.Equal(t, step.reached, reached(g), step.at)
		require.Equal(t, step.at, hhmm(&g.At))
		require.Equal(t, step.at, hhmm(&g.Cause.At))
		require.Equal(t, "tocsin.incident.elapsed.v1", g.Cause.Type)
		require.Equal(t, s.seq, g.Cause.Record)
		for duty, want := range step.dues {
			require.Equal(t, want, due(t, g, duty), "%s at %s", duty, step.at)
		}
		require.Nil(t, s.elapsed(g.At), "the same moment twice")
	}
	require.Nil(t, g.RegradeAt)
	require.Equal(t, 4, g.Revision)
}

func TestOtherLadders(t *testing.T) {
	for name, row := range map[string]struct {
		operator, facts string
		want            []string
	}{
		"main function": {"grid-east", `"facilities":["dispatch"],"facts":{"outage":[{"scope":"main-function","since":"2026-03-02T09:00:00+08:00"}]}`,
			[]string{"09:30:00 relatively-large", "12:00:00 major", "09:00:00 especially-grave"}},
		"portal": {"ministry-portal", `"facilities":["portal"],"facts":{"siteUnreachable":{"class":"central","since":"2026-03-02T09:00:00+08:00"}}`,
			[]string{"11:00:00 relatively-large", "15:00:00 major", "09:00:00 especially-grave"}},
		"another's portal": {"city-clinic", `"facilities":["records"],"facts":{"siteUnreachable":{"class":"other","since":"2026-03-02T09:00:00+08:00"}}`,
			[]string{"11:00:00 relatively-large"}},
		"no CII":                 {"grid-east", `"facilities":["office-portal"],` + lasting, nil},
		"a threat does not last": {"grid-east", `"about":"threat","facilities":["dispatch"],` + lasting, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, rulebook(t))
			first := initial("09:05", `"discoveredAt":"2026-03-02T09:02:00+08:00",`+row.facts)
			first.Operator = row.operator
			s.fold(first)
			var got []string
			for s.last.RegradeAt != nil {
				g := s.elapse()
				require.NotNil(t, g)
				got = append(got, hhmm(&g.At)+" "+g.Grade.String())
			}
			require.Equal(t, row.want, got)
		})
	}
}

// An end reported in time stops the rise, also if the moment is folded afterwards.
func TestAnOutageThatEndedNeverRises(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	g := s.fold(next("r2", "09:59:30", ended("09:59")))
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Nil(t, g.RegradeAt)
	require.Nil(t, s.elapsed(on("10:00")))
	require.Nil(t, s.elapsed(on("15:00")))
	require.Equal(t, event.RelativelyLarge, s.last.Peak)
}

// An end reported too late lowers the grade again, and recalls nothing.
func TestAnEndToldAfterTheRiseLowers(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	s.elapse()
	require.Equal(t, event.Major, s.last.Grade)
	g := s.fold(next("r2", "10:05", ended("09:55")))
	require.Equal(t, event.RelativelyLarge, g.Grade)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, event.Major, g.Peak)
	require.Nil(t, g.RegradeAt)
	require.Equal(t, []string{"national-cyberspace update", "national-public-security update", "protection-energy update", "sh-public-security update"}, reached(g))
	require.Equal(t, "10:10 strictly 10:02", due(t, g, toProtection))
}

// A server that was down gets its moments late and in a row. Its decisions do not show
// that.
func TestMomentsThatComeLateDecideTheSame(t *testing.T) {
	rb := rulebook(t)
	punctual, late := tell(t, rb), tell(t, rb)
	punctual.fold(initial("09:05", dispatch+lasting))
	for punctual.last.RegradeAt != nil {
		punctual.elapse()
	}
	late.fold(initial("09:05", dispatch+lasting))
	for _, at := range []string{"09:10", "10:00", "15:00"} {
		late.elapsed(on(at))
	}
	want, err := json.Marshal(punctual.last)
	require.NoError(t, err)
	got, err := json.Marshal(late.last)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))

	// Also out of order, the clocks run from their moments.
	wild := tell(t, rb)
	wild.fold(initial("09:05", dispatch+lasting))
	require.Equal(t, event.EspeciallyGrave, wild.elapsed(on("15:00")).Grade)
	require.Equal(t, dues(punctual.last), dues(wild.last))
	require.Nil(t, wild.elapsed(on("09:10")))
	require.Nil(t, wild.elapsed(on("10:00")))
}

// A report that arrives after a threshold was crossed, but before the moment is folded.
func TestAReportBetweenTheMomentAndItsRecord(t *testing.T) {
	people := `"facts":{"peopleAffected":1000000}`
	peopleAndEnd := strings.TrimSuffix(ended("09:55"), "}") + `,"peopleAffected":1000000}`
	for name, row := range map[string]struct {
		report *event.Accepted
		grade  event.Grade
		dues   map[string]string
	}{
		"says nothing of it: from the crossing": {next("r2", "10:05", `"cause":"x"`), event.Major,
			map[string]string{toNational: "10:30", toProtection: "10:10 strictly 10:02"}},
		"denies the crossing": {next("r2", "10:05", ended("09:55")), event.RelativelyLarge,
			map[string]string{toNational: "not owed", toProtection: "10:10 strictly 10:02"}},
		"denies it, and brings facts of its own: from the receipt": {next("r2", "10:05", peopleAndEnd), event.Major,
			map[string]string{toNational: "10:35"}},
		"brings the same grade by itself as well": {next("r2", "10:05", people), event.Major,
			map[string]string{toNational: "10:30"}},
		"ended, but after the crossing": {next("r2", "10:05", ended("10:03")), event.Major,
			map[string]string{toNational: "10:30"}},
		"began earlier than was thought": {next("r2", "10:05", strings.Replace(lasting, "T09:00", "T08:50", 1)), event.Major,
			map[string]string{toNational: "10:30"}},
		"began later": {next("r2", "10:05", strings.Replace(lasting, "T09:00", "T09:20", 1)), event.RelativelyLarge,
			map[string]string{toNational: "not owed"}},
		"corrects the discovery forwards": {next("r2", "10:05", `"discoveredAt":"2026-03-02T09:30:00+08:00"`), event.Major,
			map[string]string{toNational: "10:30", toProtection: "10:10 strictly 10:02"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, rulebook(t))
			s.fold(initial("09:05", dispatch+lasting))
			s.elapse()
			g := s.fold(row.report)
			require.Equal(t, row.grade, g.Grade)
			for duty, want := range row.dues {
				require.Equal(t, want, due(t, g, duty), duty)
			}
			require.Nil(t, s.elapsed(on("10:00")), "it was looked at")
		})
	}
}

// The first step is the operator's own duty: a corrected discovery that arrives between
// the crossing and its record does not move the strict reading later either.
func TestALateLookDoesNotLoosenTheStrictReading(t *testing.T) {
	for _, told := range []string{`"2026-03-02T09:08:00+08:00"`, `"2026-03-02T09:11:00+08:00"`, `"2026-03-02T08:50:00+08:00"`, `null`} {
		correction := func() *event.Accepted { return next("r2", "09:12", `"discoveredAt":`+told) }
		rb := rulebook(t)
		punctual, late := tell(t, rb), tell(t, rb)
		punctual.fold(initial("09:05", dispatch+lasting))
		punctual.elapse()
		punctual.fold(correction())
		late.fold(initial("09:05", dispatch+lasting))
		late.fold(correction())
		require.Equal(t, dues(punctual.last), dues(late.last), told)
	}
}

// A report that is as late as a moment is a cause like any other, and so is a desk's act:
// every desk told hears of the rise, even if the act itself, a question to the operator,
// is not news to it.
func TestAnActBetweenTheMomentAndItsRecordTellsOfTheRise(t *testing.T) {
	for _, kind := range []string{event.KindAsked, event.KindConfirmed, event.KindTransferred} {
		s := tell(t, rulebook(t))
		s.fold(initial("09:05", dispatch+lasting))
		s.elapse()
		s.elapse()
		g := s.fold(&event.DeskAct{Kind: kind, ID: "a", Desk: "protection-energy", Operator: "grid-east", Incident: "x", Officer: "duty",
			Reason: "r", At: on("15:00:01"), Items: []string{"cause"}, To: "national-cyberspace"})
		require.Equal(t, event.EspeciallyGrave, g.Grade)
		require.Len(t, g.Escalations, 4, kind)
		require.Nil(t, s.elapsed(on("15:00")))
	}
}

func TestWhatIsWithdrawnOrImportedDoesNotGrow(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	s.elapse()
	g := s.fold(taken("withdrawal", "r2", on("09:30"), `"reason":"false-alarm"`))
	require.Nil(t, g.RegradeAt)
	require.Nil(t, g.Next)
	require.Empty(t, g.Owed)
	require.Nil(t, s.elapsed(on("10:00")))

	s = tell(t, rulebook(t, "forward: automatic", "forward: confirm"))
	g = s.fold(initial("12:05", `"imported":true,`+dispatch+lasting))
	require.Equal(t, event.Major, g.Grade)
	require.Nil(t, g.RegradeAt)
	require.Empty(t, g.Owed)
	require.Empty(t, g.PendingForwards)
	for _, d := range g.Duties {
		require.Nil(t, d.DueAt)
	}
	require.Len(t, g.Escalations, 4)
	for _, e := range g.Escalations {
		require.Nil(t, e.AcknowledgeWithin)
		require.Nil(t, e.AcknowledgeDefault)
	}
	require.Equal(t, "15:00:00", hhmm(s.fold(next("r2", "12:10", `"imported":false`)).RegradeAt), "until it comes alive")
}

// If the law has changed since the moment was foreseen, the moment may change nothing
// yet: the next one is set all the same.
func TestAMomentThatTheLawHasMoved(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(initial("09:05", dispatch+lasting))
	s.rb = withPack(t, s.rb, "cn-csirm-2025",
		"where: {scope: overall, cii: true}, atLeast: PT10M", "where: {scope: overall, cii: true}, atLeast: PT12M",
		"scope: overall, duration: PT10M", "scope: overall, duration: PT12M")
	g := s.elapse()
	require.NotNil(t, g)
	require.Equal(t, event.General, g.Grade)
	require.Empty(t, g.Escalations)
	require.Equal(t, "09:12:00", hhmm(g.RegradeAt))
	require.Nil(t, s.elapsed(on("09:10")))
	require.Equal(t, event.RelativelyLarge, s.elapse().Grade)
}

// A duty whose clock is the end of handling starts when that is reported.
func TestADutyThatCountsFromTheEndOfHandling(t *testing.T) {
	rb := withPack(t, rulebook(t), "cn-csirm-2025", "within: PT1H\n    clock: discovered", "within: PT1H\n    clock: handled")
	s := tell(t, rb)
	s.fold(initial("09:05", dispatch+large))
	require.Equal(t, "none", due(t, s.last, toProtection))
	require.Equal(t, "11:00", due(t, s.fold(next("r2", "10:30", `"handledAt":"2026-03-02T10:00:00+08:00"`)), toProtection))
	require.Equal(t, "11:00", due(t, s.fold(next("r3", "10:40", `"handledAt":"2026-03-02T10:20:00+08:00"`)), toProtection))
	require.Equal(t, "11:00", due(t, s.fold(next("r4", "10:41", `"handledAt":null`)), toProtection))
	require.Equal(t, "10:55", due(t, s.fold(next("r5", "10:42", `"handledAt":"2026-03-02T09:55:00+08:00"`)), toProtection))

	s = tell(t, rb)
	s.fold(initial("09:05", dispatch+`"handledAt":"2026-03-03T10:00:00+08:00",`+large))
	require.Equal(t, "10:05", due(t, s.last, toProtection), "an end to come counts as the receipt")
}

// catchUp folds every moment up to now.
func (s *story) catchUp(now time.Time) {
	for s.last != nil && s.last.RegradeAt != nil && !s.last.RegradeAt.After(now) {
		look := *s.last.RegradeAt
		require.NotNil(s.t, s.elapse(), "what was foreseen for %s changes something", look)
	}
}

// Grading step by step gives the same as grading from scratch, at the steps and between
// them.
func TestPropertyEachStepIsWhatTheLawSaysAtThatMoment(t *testing.T) {
	for name, rb := range map[string]Rulebook{"automatic": rulebook(t), "confirm": rulebook(t, confirming...)} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := tell(t, rb)
				sc := &script{t: t, now: nine.Add(5 * time.Minute)}
				check := func(until time.Time) {
					g := s.last
					v, err := rb.view(g.Operator, g.State)
					require.NoError(t, err)
					if g.RegradeAt != nil {
						require.True(t, g.RegradeAt.After(g.At))
						if g.Next != nil {
							require.False(t, g.RegradeAt.After(g.Next.At))
						}
						if until.After(g.RegradeAt.Add(-1)) {
							until = g.RegradeAt.Add(-1)
						}
					}
					if until.Before(g.At) || g.State.IsImported() || g.Withdrawal != nil {
						until = g.At
					}
					for _, at := range []time.Time{g.At, until} {
						a := rb.Statutes.Assess(v.Case, at)
						require.Equal(t, a.Grade, g.Grade, at)
						require.True(t, sameGrades(&event.Graded{Assessment: a}, g), at)
					}
				}
				for range rapid.IntRange(1, 6).Draw(t, "causes") {
					c := sc.cause()
					for s.last != nil && s.last.RegradeAt != nil && !s.last.RegradeAt.After(sc.now) {
						check(sc.now)
						require.NotNil(t, s.elapse())
					}
					if s.last != nil {
						check(sc.now)
					}
					require.NotNil(t, s.fold(c))
				}
				check(sc.now)
				for s.last.RegradeAt != nil {
					require.NotNil(t, s.elapse())
					check(s.last.At.Add(48 * time.Hour))
				}
			})
		})
	}
}

// A report that no longer names the critical facility denies that its outage crossed a
// threshold. The other facility, which owed nothing beside it, has four hours from that
// report (art. 4 ¶4), whether or not the moment was folded before.
func TestAReportThatTakesTheCriticalFacilityAway(t *testing.T) {
	const toProvince = "other-operator-to-provincial-cyberspace"
	for name, looked := range map[string]bool{"folded at its moment": true, "not folded yet": false} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, rulebook(t))
			s.fold(initial("09:05", `"facilities":["dispatch"],`+lasting))
			s.fold(next("r2", "09:05", `"facilities":["dispatch","office-portal"]`))
			if looked {
				require.Equal(t, "not owed", due(t, s.elapse(), toProvince))
			}
			g := s.fold(next("r3", "09:30", `"facilities":["office-portal"],"facts":{"peopleAffected":1000000}`))
			require.Equal(t, "13:30", due(t, g, toProvince))
			require.Nil(t, s.elapsed(on("09:10")), "it has nothing left to change")
		})
	}
}

// Whether the moments are folded in time, late, or never makes no difference to any due
// time, unless a report denies them.
func TestPropertyALateLookMovesNoDueTime(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		punctual, late := tell(t, rb), tell(t, rb)
		sc := &script{t: t, frozen: true, now: nine.Add(5 * time.Minute)}
		var missed []time.Time
		for range rapid.IntRange(2, 6).Draw(t, "causes") {
			c := sc.cause()
			for punctual.last != nil && punctual.last.RegradeAt != nil && !punctual.last.RegradeAt.After(sc.now) {
				missed = append(missed, *punctual.last.RegradeAt)
				punctual.elapse()
			}
			punctual.fold(c)
			if rapid.Bool().Draw(t, sc.label("looked")) {
				for _, at := range missed {
					if !at.After(late.last.At) {
						require.Nil(t, late.elapsed(at))
						continue
					}
					late.elapsed(at)
				}
				missed = nil
			}
			late.fold(c)
			require.Equal(t, dues(punctual.last), dues(late.last))
			require.Equal(t, punctual.last.Grade, late.last.Grade)
			require.Equal(t, hhmm(punctual.last.RegradeAt), hhmm(late.last.RegradeAt))
		}
	})
}

// No correction gives anybody more time: while something is owed, its due times do not
// move later and are not removed.
func TestPropertyNoCorrectionGivesMoreTime(t *testing.T) {
	rb := rulebook(t, confirming...)
	rapid.Check(t, func(t *rapid.T) {
		s := tell(t, rb)
		sc := &script{t: t, now: nine.Add(5 * time.Minute)}
		type time2 = [2]*time.Time
		owed := func() map[string]time2 {
			out := map[string]time2{}
			if s.last == nil {
				return out
			}
			for _, d := range s.last.Duties {
				for _, f := range d.Facilities {
					out[d.Statute+"/"+d.Duty+"/"+d.Desk+"/"+f] = time2{d.DueAt, d.StrictDueAt}
				}
			}
			for _, o := range s.last.Owed {
				out[o.ID] = time2{o.DueAt, nil}
			}
			for _, h := range s.last.PendingForwards {
				out["pending "+h.To] = time2{&h.Until, &h.Remind}
			}
			return out
		}
		for range rapid.IntRange(2, 7).Draw(t, "causes") {
			c := sc.cause()
			if rapid.Bool().Draw(t, sc.label("punctual")) {
				s.catchUp(sc.now)
			}
			before := owed()
			s.fold(c)
			for what, after := range owed() {
				for i, was := range before[what] {
					if was != nil {
						require.NotNil(t, after[i], what)
						require.False(t, after[i].After(*was), "%s: %s, was %s", what, after[i], was)
					}
				}
			}
		}
	})
}

// The future has not come: an outage dated to begin after its receipt begins with it, and
// one dated to end in the future has not ended.
func TestTheFutureHasNotCome(t *testing.T) {
	rb := rulebook(t)
	outage := func(times string) string { return `"facts":{"outage":[{"scope":"overall",` + times + `}]}` }
	first := func(sent *time.Time, facts string) *event.Graded {
		a := taken("initial", "r1", nine, `"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:59:00+08:00",`+facts)
		a.SentAt = sent
		g, err := rb.Revise(nil, cause(10, a), nil)
		require.NoError(t, err)
		return g
	}
	tomorrow, yesterday := nine.Add(24*time.Hour), nine.Add(-24*time.Hour)
	for name, g := range map[string]*event.Graded{
		"a sender a day ahead":       first(&tomorrow, outage(`"since":"2026-03-03T08:49:00+08:00"`)),
		"its clock right, since not": first(nil, outage(`"since":"2026-03-02T09:30:00+08:00"`)),
		"since with small letters":   first(nil, outage(`"since":"2026-03-02t01:30:00z"`)),
	} {
		require.Equal(t, event.General, g.Grade, name)
		require.True(t, g.RegradeAt.Equal(nine.Add(10*time.Minute)), "%s: looked at ten minutes after the receipt, not %v", name, g.RegradeAt)
	}
	g := first(&yesterday, outage(`"since":"2026-03-02T08:59:00+08:00"`))
	require.Equal(t, event.General, g.Grade, "a stamp of yesterday makes no outage a day long")
	require.True(t, g.RegradeAt.Equal(nine.Add(9*time.Minute)))

	g = first(nil, outage(`"since":"2026-03-02T08:59:00+08:00","until":"2026-03-03T09:00:00+08:00"`))
	require.Equal(t, event.General, g.Grade, "it has lasted a minute")
	require.Equal(t, event.RelativelyLarge, g.Next.Grade)
	g = first(nil, outage(`"since":"2026-03-02T08:59:00+08:00","until":"2026-03-02T09:08:00+08:00"`))
	require.Nil(t, g.Next, "it will have ended before ten minutes")
	require.Nil(t, g.RegradeAt)
}

// An operator that reports in time by its own claim and then corrects the claim turns out
// to have been late: the due time moves, and the duty records by how much.
func TestACorrectionThatShowsLateness(t *testing.T) {
	rb := rulebook(t)
	history := revise(t, rb,
		taken("initial", "r1", nine, onSite+","+large), // discovered 08:40, due 09:40
		taken("progress", "r2", nine.Add(time.Hour), `"discoveredAt":"2026-03-02T07:00:00+08:00"`),
		taken("progress", "r3", nine.Add(2*time.Hour), `"discoveredAt":"2026-03-02T08:40:00+08:00"`))
	require.Nil(t, history[0].Duties[0].LateBy)
	for _, g := range history[1:] {
		require.Equal(t, "08:00", due(t, g, toProtection), "and it does not move back")
		late := map[string]time.Duration{}
		for _, e := range g.Escalations {
			require.Equal(t, event.ActUpdate, e.Act)
			for _, d := range e.Standing {
				require.Equal(t, d.DueAt != nil, d.LateBy != nil)
				if d.LateBy != nil {
					late[d.Duty] = time.Duration(*d.LateBy)
				}
			}
		}
		require.Equal(t, map[string]time.Duration{toProtection: time.Hour, "cii-operator-to-public-security": time.Hour}, late, "told at nine, due at eight")
	}
}

// However often a future beginning is repeated, the clock runs from the first time it was
// reported.
func TestAFutureSaidAgainDelaysNothing(t *testing.T) {
	rb := rulebook(t)
	ahead := `"facts":{"outage":[{"scope":"overall","since":"2026-03-03T09:00:00+08:00"}],"siteUnreachable":{"class":"central","since":"2026-03-03T09:00:00+08:00"}}`
	history := revise(t, rb,
		taken("initial", "r1", nine, onSite+","+ahead),
		taken("progress", "r2", nine.Add(5*time.Minute), ahead),
		taken("progress", "r3", nine.Add(11*time.Minute), ahead))
	require.True(t, history[1].RegradeAt.Equal(nine.Add(10*time.Minute)))
	require.Equal(t, event.RelativelyLarge, history[2].Grade)
}

// A statement dated before the known ones has no effect, and the revision says so.
func TestWhatIsOutdatedIsSaid(t *testing.T) {
	rb := rulebook(t)
	open := `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:55:00+08:00"}]}`
	end := taken("progress", "r2", nine.Add(time.Second), `"cause":"x","facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:55:00+08:00","until":"2026-03-02T08:59:00+08:00"}]}`)
	before := nine.Add(-2 * time.Second)
	end.SentAt = &before
	g := revise(t, rb, taken("initial", "r1", nine, onSite+","+open), end)[1]
	require.Equal(t, []string{"cause"}, g.Cause.Changed)
	require.Equal(t, []string{"facts.outage"}, g.Cause.Outdated)
	require.Contains(t, g.Change.Reason, "dated before what is known")
	require.Empty(t, revise(t, rb, taken("initial", "r1", nine, onSite+","+open), taken("progress", "r2", nine, open))[1].Cause.Outdated)
}
