package agenda

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// agendaOf takes the party from the last token but one of a name, and the rank from the
// last.
func agendaOf() *Agenda {
	part := func(s event.Stored, fromEnd int) string {
		p := strings.Split(s.Wire, ".")
		return p[len(p)-fromEnd]
	}
	return New(clock.NewManual(time.Unix(1000, 0)), func(s event.Stored) string { return part(s, 2) }, func(s event.Stored) int { return int(part(s, 1)[0]) })
}

func (a *Agenda) set(name string, seq uint64, due time.Time) {
	r := event.RawRecord("timer.at."+name, due, "", nil)
	r.Due = due
	a.Add(stored(r, seq), true)
}

func names(taken []*Entry) (out []string) {
	for _, e := range taken {
		out = append(out, strings.TrimPrefix(e.Subject, "timer.at."))
	}
	return out
}

// TestAgenda_PartiesComeInTurn: a due timer of one party waits for at most one timer of
// each other party, however many they have; within a party the gravest comes first.
func TestAgenda_PartiesComeInTurn(t *testing.T) {
	t.Parallel()
	a, now := agendaOf(), time.Unix(1000, 0)
	for i := range 1000 {
		a.set(fmt.Sprintf("%03d.flood.1", i), uint64(i+1), now)
	}
	require.Equal(t, []string{"000.flood.1", "001.flood.1"}, names(a.take(now, 2)))
	a.set("x.quiet.1", 2000, now)
	a.set("y.quiet.3", 2001, now)
	a.set("z.other.2", 2002, now)
	a.set("later.quiet.9", 2003, now.Add(1))
	require.Equal(t, []string{"y.quiet.3", "z.other.2", "002.flood.1", "003.flood.1", "x.quiet.1", "004.flood.1"}, names(a.take(now, 6)))
	a.set("grave.flood.7", 2004, now)
	require.Equal(t, []string{"grave.flood.7"}, names(a.take(now, 1)))
	next, has := a.Next()
	require.True(t, has)
	require.Equal(t, now.Add(1).UnixNano(), next.UnixNano())
	require.Equal(t, []string{"later.quiet.9"}, names(a.take(now.Add(1), 1)), "who had fewer turns")
}

// TestAgenda_WhatIsCancelledOrReplaced does not come, and is to be removed once.
func TestAgenda_WhatIsCancelledOrReplaced(t *testing.T) {
	t.Parallel()
	a, now := agendaOf(), time.Unix(1000, 0)
	for i := range 10 {
		a.set(fmt.Sprintf("%d.one.1", i), uint64(i+1), now)
	}
	require.True(t, a.Cancel("timer.at.3.one.1"))
	a.NoteDelivered(10, true)
	require.False(t, a.Cancel("timer.at.3.one.1"))
	require.False(t, a.Cancel("timer.at.nothing.*"))
	require.True(t, a.Cancel("timer.at.4.one.*"))
	a.set("5.one.1", 20, now.Add(time.Hour)) // replaces another
	taken := a.take(now, 100)
	require.Len(t, taken, 7)
	require.True(t, a.Cancel("timer.at.0.one.1"), "though it is in hand")
	a.set("1.one.1", 21, now.Add(time.Hour))
	for _, e := range taken {
		a.Finish(e.Seq, true)
	}
	done, below := a.Finished(5)
	require.ElementsMatch(t, []uint64{6, 2, 3, 7, 8, 9, 10}, done["one"])
	require.Equal(t, map[string]uint64{"one": 11}, below)
	done, _ = a.Finished(5)
	require.Empty(t, done)
	require.True(t, a.Cancel("timer.at.>"))
	require.Empty(t, a.entries)
	require.Empty(t, a.under)
}

// TestAgenda_WhatThisProcessSetIsNotTakenTwice, when the engine delivers it afterwards.
func TestAgenda_WhatThisProcessSetIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	a, now := agendaOf(), time.Unix(1000, 0)
	r := event.RawRecord("timer.at.x.one.1", now, "", nil)
	r.Due = now
	s := stored(r, 5)
	a.Add(s, false)
	taken := a.take(now, 1)
	require.Len(t, taken, 1)
	require.True(t, a.Finish(5, true))
	a.Add(s, true)
	require.Empty(t, a.take(now, 1))
	a.NoteDelivered(5, true)
	a.Add(s, false)
	require.Empty(t, a.take(now, 1))
}

// stored returns a timer as the stream has it.
func stored(r event.Record, seq uint64) event.Stored {
	s := r.Unwritten(event.Real)
	s.Sequence = seq
	return s
}
