package grading

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

func causesOf(bodies ...any) (out []Cause) {
	for i, body := range bodies {
		out = append(out, cause(uint64(10+i), body))
	}
	return out
}

func lines(duties []event.Duty) (out []string) {
	for _, d := range duties {
		out = append(out, d.Statute+"/"+d.Duty+" "+d.Desk+" "+hhmm(d.DueAt))
	}
	return out
}

func TestReplay_TimePasses(t *testing.T) {
	rb := rulebook(t)
	lasting := causesOf(taken("initial", "r1", nine, onSite+`,"facts":{"outage":[{"scope":"overall","since":"2026-03-02T09:00:00+08:00"}]}`))
	for until, want := range map[string]event.Grade{
		"09:09": event.General, "09:10": event.RelativelyLarge, "09:59": event.RelativelyLarge, "10:00": event.Major, "15:00": event.EspeciallyGrave,
	} {
		r, err := rb.Replay(lasting, on(until))
		require.NoError(t, err)
		require.Equal(t, want, r.Grade, until)
		require.Equal(t, want, r.Peak, until)
	}
	// The same as with the moments of the record.
	s := tell(t, rb)
	s.fold(lasting[0].Report)
	for s.last.Grade < event.EspeciallyGrave {
		s.elapse()
	}
	r, err := rb.Replay(lasting, on("23:00"))
	require.NoError(t, err)
	require.Equal(t, s.last.Grade, r.Grade)
	require.Len(t, r.Duties, len(s.last.Duties))
}

func TestReplay_KeepsDutiesThatAroseAndLeavesOutWhatCannotBeFolded(t *testing.T) {
	rb := rulebook(t)
	stranger := taken("progress", "r2", nine.Add(time.Minute), `"facilities":["elsewhere"]`)
	causes := causesOf(taken("initial", "r1", nine, onSite+","+major), stranger, taken("progress", "r3", nine.Add(time.Hour), short))
	r, err := rb.Replay(causes, on("23:00"))
	require.NoError(t, err)
	require.Equal(t, event.General, r.Grade)
	require.Equal(t, event.Major, r.Peak)
	require.Contains(t, lines(r.Duties), "cn-csirm-2025/cii-operator-to-protection protection-energy 09:40:00")

	_, err = rb.Replay(causes[1:2], on("23:00"))
	require.ErrorContains(t, err, "elsewhere")
	_, err = rb.Replay(nil, on("23:00"))
	require.ErrorContains(t, err, "no report")
}

func TestCompare_UnderANewPack(t *testing.T) {
	rb := rulebook(t)
	stricter := withPack(t, rb, "cn-csirm-2025", "where: {scope: overall, cii: true}, atLeast: PT1H}", "where: {scope: overall, cii: true}, atLeast: PT15M}",
		"within: PT1H", "within: PT30M")
	causes := causesOf(taken("initial", "r1", nine, onSite+","+large))
	before, err := rb.Replay(causes, on("23:00"))
	require.NoError(t, err)
	after, err := stricter.Replay(causes, on("23:00"))
	require.NoError(t, err)

	d, differs := Compare(before, after)
	require.True(t, differs)
	require.Equal(t, []event.Grade{event.RelativelyLarge, event.Major}, []event.Grade{d.PeakBefore, d.Peak})
	require.Empty(t, d.Removed)
	require.Contains(t, lines(d.Added), "cn-csirm-2025/protection-to-national-cyberspace national-cyberspace 09:30:00")
	require.Len(t, d.Moved, 1)
	require.Equal(t, "cii-operator-to-protection", d.Moved[0].Duty.Duty)
	require.Equal(t, "09:40:00", hhmm((*time.Time)(d.Moved[0].DueBefore)))
	require.Equal(t, "09:10:00", hhmm(d.Moved[0].Duty.DueAt))

	back, differs := Compare(after, before)
	require.True(t, differs)
	require.Equal(t, d.Added, back.Removed)
	require.Empty(t, back.Added)
}

// A replay by the packs that decided ends as the record did, whose moments it does not
// read.
func TestPropertyReplay_EndsAsTheRecord(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		s := tell(t, rb)
		pass := func(until time.Time) {
			for s.last != nil && s.last.RegradeAt != nil && !s.last.RegradeAt.After(until) && s.elapse() != nil {
			}
		}
		var bodies []any
		for _, a := range anyReports(t, 4) {
			bodies = append(bodies, a)
			pass(a.ReceivedAt)
			s.fold(a)
		}
		until := s.last.At.Add(30 * time.Hour)
		pass(until)
		r, err := rb.Replay(causesOf(bodies...), until)
		require.NoError(t, err)
		require.Equal(t, s.last.Grade, r.Grade)
		require.Equal(t, s.last.Peak, r.Peak)
		for _, d := range s.last.Duties {
			require.Contains(t, lines(r.Duties), lines([]event.Duty{d})[0])
		}
		d, differs := Compare(r, r)
		require.False(t, differs, "%+v", d)
	})
}
