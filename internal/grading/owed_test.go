package grading

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	supplement = "cn-csirm-2025.supplement"
	summary    = "cn-csirm-2025.final-summary"
)

// owes returns an obligation by its id; nil if it is met or never existed.
func owes(g *event.Graded, id string) *event.Obligation {
	for i := range g.Owed {
		if g.Owed[i].ID == id {
			return &g.Owed[i]
		}
	}
	return nil
}

func missing(g *event.Graded, id string) string {
	if o := owes(g, id); o != nil {
		return strings.Join(o.Items, " ")
	}
	return "nothing"
}

func TestWhatAFirstReportLeavesOutIsOwed(t *testing.T) {
	s := tell(t, rulebook(t))
	g := s.fold(taken("initial", "r1", nine, onSite+`,"kind":"malware","impact":"I",`+large))
	o := owes(g, supplement)
	require.NotNil(t, o)
	require.Equal(t, event.OwesItems, o.Kind)
	require.Equal(t, "place measures trend cause leads plan scene", missing(g, supplement))
	require.Nil(t, o.DueAt, "promptly")
	require.Empty(t, o.Remind)
	require.NotEmpty(t, o.Citation)
	require.Equal(t, event.ConfidenceSecondary, o.Confidence)

	g = s.fold(next("r2", "09:10", `"measures":"M","trend":"T","cause":"C","place":{"region":"310000"}`))
	require.Equal(t, "leads plan scene", missing(g, supplement))
	g = s.fold(next("r3", "09:20", `"cause":null,"leads":"L","plan":"P"`))
	require.Equal(t, "cause scene", missing(g, supplement), "null makes one owed again")
	g = s.fold(next("r4", "09:30", `"cause":"D","scene":"S"`))
	require.Nil(t, owes(g, supplement))
	require.NotNil(t, owes(g, summary))
	g = s.fold(next("r5", "09:40", `"leads":null`))
	require.Equal(t, "leads", missing(g, supplement), "and owed again when all was told")
}

func TestOnlyWhatTheLawDemandsIsOwed(t *testing.T) {
	rb := rulebook(t)
	require.Empty(t, revise(t, rb, taken("initial", "r1", nine, onSite+","+short))[0].Owed, "general")
	require.Empty(t, revise(t, rb, taken("initial", "r1", nine, onSite+`,"about":"threat","ownGrade":"major"`))[0].Owed, "a threat")
	require.Empty(t, revise(t, rb, taken("initial", "r1", nine, onSite+`,"imported":true,`+major))[0].Owed, "an import")
	s := tell(t, rb)
	s.fold(initial("09:05", dispatch+lasting))
	require.Empty(t, s.last.Owed)
	require.Len(t, s.elapse().Owed, 2, "time brings it about too")
}

func TestTheFinalSummary(t *testing.T) {
	s := tell(t, rulebook(t))
	g := s.fold(taken("initial", "r1", nine, onSite+","+large))
	require.Equal(t, event.OwesReport, owes(g, summary).Kind)
	require.Nil(t, owes(g, summary).DueAt, "handling has not ended")
	require.Nil(t, owes(g, summary).Since)
	require.Empty(t, owes(g, summary).Remind)

	g = s.fold(next("r2", "18:00", `"handledAt":"2026-03-02T17:00:00+08:00"`))
	o := owes(g, summary)
	end := time.Date(2026, 4, 2, 0, 0, 0, 0, nine.Location()) // 24:00 of 1 April, the thirtieth day after 2 March
	require.True(t, o.DueAt.Equal(end), o.DueAt)
	require.True(t, o.Since.Equal(on("17:00")))
	require.Equal(t, "P30D", o.Within)
	require.Len(t, o.Remind, 2)
	whole := end.Sub(on("17:00"))
	require.True(t, o.Remind[0].Equal(on("17:00").Add(whole/2)))
	require.True(t, o.Remind[1].Equal(on("17:00").Add(whole/10*9)))
	require.False(t, o.LateAt(end))
	require.True(t, o.LateAt(end.Add(1)))

	for i, later := range []string{`"2026-03-05T17:00:00+08:00"`, `null`, `"2027-01-01T00:00:00Z"`} {
		g = s.fold(next(fmt.Sprint("c", i), "19:00", `"handledAt":`+later))
		require.True(t, owes(g, summary).DueAt.Equal(end), "a correction to %s gives no time", later)
	}
	g = s.fold(next("r4", "19:30", `"facts":{"outage":[]}`))
	require.Equal(t, event.General, g.Grade)
	require.True(t, owes(g, summary).DueAt.Equal(end), "it is owed on when the grade falls")
	g = s.fold(next("r5", "19:40", `"handledAt":"2026-03-01T17:00:00+08:00"`))
	require.True(t, owes(g, summary).DueAt.Equal(end.AddDate(0, 0, -1)), "an earlier end counts")
	g = s.fold(taken("final", "r6", on("20:00"), `"cause":"C"`))
	require.Nil(t, owes(g, summary))
	require.NotNil(t, owes(g, supplement), "the final report left items out, too")
	require.Nil(t, owes(s.fold(next("r7", "21:00", major)), summary), "once is enough")
}

// An end of handling in the future counts as its receipt, and a later revision does not
// move it.
func TestAnEndOfHandlingToCome(t *testing.T) {
	s := tell(t, rulebook(t))
	g := s.fold(taken("initial", "r1", nine, onSite+`,"handledAt":"2026-05-01T00:00:00+08:00",`+large))
	due := *owes(g, summary).DueAt
	require.True(t, due.Equal(time.Date(2026, 4, 2, 0, 0, 0, 0, nine.Location())))
	g = s.fold(taken("progress", "r2", nine.AddDate(0, 0, 5), `"cause":"x"`))
	require.True(t, owes(g, summary).DueAt.Equal(due))
}

// 30 days at +08:00, across leap days and the turn of the year, whatever the zone of the
// operator's times.
func TestPropertyTheSummaryIsDueAtMidnightInBeijing(t *testing.T) {
	rb := rulebook(t)
	zones := []*time.Location{time.UTC, nine.Location(), time.FixedZone("", -11*3600), time.FixedZone("", 14*3600)}
	rapid.Check(t, func(t *rapid.T) {
		handled := time.Unix(rapid.Int64Range(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC).Unix()).Draw(t, "handled"), 0)
		text := handled.In(rapid.SampledFrom(zones).Draw(t, "zone")).Format(time.RFC3339)
		g := revise(t, rb, taken("initial", "r1", handled.Add(time.Hour), `"facilities":["dispatch"],"handledAt":"`+text+`",`+large))[0]
		due := owes(g, summary).DueAt.In(nine.Location())
		y, m, d := handled.In(nine.Location()).Date()
		require.True(t, due.Equal(time.Date(y, m, d, 0, 0, 0, 0, nine.Location()).AddDate(0, 0, 31)), due)
		for _, at := range owes(g, summary).Remind {
			require.True(t, at.After(handled) && at.Before(due))
		}
	})
}

func ask(id, desk, at string, items ...string) *event.DeskAct {
	a := act(event.KindAsked, id, desk, at)
	a.Items = items
	return a
}

func TestADeskAsks(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+`,"cause":"C",`+large))
	until := on("11:00")
	first := ask("one", "protection-energy", "09:30", "cause", "leads")
	first.DueAt = &until
	g := s.fold(first)
	require.Empty(t, g.Escalations, "a question to the operator is no news to the desks")
	o := owes(g, "ask-11")
	require.Equal(t, event.OwesAnswer, o.Kind)
	require.Equal(t, "cause leads", missing(g, "ask-11"), "also what was known before")
	require.Equal(t, "protection-energy post one because one", o.Desk+" "+o.Officer+" "+o.Reason)
	require.Equal(t, []string{"09:30:00", "11:00:00", "10:15:00", "10:51:00"}, []string{hhmm(o.Since), hhmm(o.DueAt), hhmm(&o.Remind[0]), hhmm(&o.Remind[1])})
	require.Empty(t, o.Citation)

	g = s.fold(ask("two", "sh-public-security", "09:40", "cause"))
	require.Nil(t, owes(g, "ask-12").DueAt)
	require.Empty(t, owes(g, "ask-12").Remind)

	g = s.fold(next("r2", "09:50", `"cause":"C"`))
	require.Equal(t, "leads", missing(g, "ask-11"), "stated again is an answer")
	require.Nil(t, owes(g, "ask-12"))
	g = s.fold(next("r3", "09:55", `"leads":null`))
	require.Equal(t, "leads", missing(g, "ask-11"), "that it is not known is none")
	s.fold(ask("three", "sh-public-security", "09:56", "leads"))
	g = s.fold(next("r4", "09:57", `"leads":"L"`))
	require.Nil(t, owes(g, "ask-11"))
	require.Nil(t, owes(g, "ask-15"))
	require.Len(t, g.State.Asked, 3, "what was asked stays on record")
	g = s.fold(next("r5", "09:58", `"leads":null`))
	require.Equal(t, "leads", missing(g, "ask-11"), "an answer that is taken back is none")
}

// A report that arrives after the question but is dated before the known facts replaces
// nothing and answers nothing.
func TestAnOldReportIsNoAnswer(t *testing.T) {
	s := tell(t, rulebook(t))
	s.fold(taken("initial", "r1", nine, onSite+`,"cause":"C",`+large))
	s.fold(ask("one", "protection-energy", "09:30", "cause"))
	old := next("r0", "09:40", `"cause":"B"`)
	before := on("08:50")
	old.SentAt = &before
	require.Equal(t, "cause", missing(s.fold(old), "ask-11"))
}

func TestPropertyAnObligationIsOwedUntilItIsMet(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		s := tell(t, rb)
		sc := &script{t: t, now: nine.Add(5 * time.Minute)}
		for range rapid.IntRange(2, 8).Draw(t, "causes") {
			before := s.last
			s.fold(sc.cause())
			g := s.last
			ids := map[string]bool{}
			for _, o := range g.Owed {
				require.False(t, ids[o.ID], "%s twice", o.ID)
				ids[o.ID] = true
				require.Equal(t, o.Kind == event.OwesReport, len(o.Items) == 0)
				if o.DueAt != nil {
					for _, at := range o.Remind {
						require.False(t, at.After(*o.DueAt) || at.Before(*o.Since))
					}
				}
				if o.Kind == event.OwesItems {
					for _, path := range o.Items {
						require.False(t, g.State.Knows(path))
					}
				}
			}
			if before == nil || g.Withdrawal != nil {
				continue
			}
			for _, o := range before.Owed { // what is gone was met
				switch {
				case ids[o.ID]:
				case o.Kind == event.OwesReport:
					require.NotZero(t, g.State.Final.Record)
				default:
					for _, path := range o.Items {
						require.True(t, g.State.Knows(path), path)
						require.Equal(t, s.seq, g.State.Fields[path].Record)
					}
				}
			}
		}
	})
}
