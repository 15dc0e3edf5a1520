package classifier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/grading"
)

// TestHandle_LargeIncident: for an incident that was filled before there were bounds, a
// cause that makes it larger is rejected alone, and any other is folded.
func TestHandle_LargeIncident(t *testing.T) {
	b := newBench(t)
	h := b.handler()
	b.handle(h, b.store(taken("initial", "r1", nine, onSite+","+short)))
	last, _ := h.memory.last("grid-east.x")
	full := *last.Graded
	full.Revision++
	reason := strings.Repeat("据", 2000)
	for len(full.State.Asked)*2*3*2000 < event.MaxGraded {
		full.State.Asked = append(full.State.Asked, event.Asked{Record: 1, Desk: "protection-energy", Officer: "post", Reason: reason, Items: []string{"plan"}, At: nine})
	}
	second, err := b.deps.Rulebook.Revise(&full, grading.ReportCause(2, progress(1)), nil)
	require.NoError(t, err)
	second.Revision = 2
	record, err := event.NewRecord(event.GradedSubject("grid-east", "x", 2), nine, "", second)
	require.NoError(t, err)
	require.Greater(t, len(record.Data), event.MaxGraded)
	b.commit(record)
	h.memory = newMemory()

	text := func(name string) string { return `"` + name + `":"` + strings.Repeat("x", 19_000) + `"` }
	large := b.store(taken("progress", "r2", nine.Add(time.Second), strings.Join([]string{text("impact"), text("trend"), text("measures"), text("other")}, ",")))
	_, err = h.Handle(t.Context(), large)
	require.Equal(t, fault.Reject, fault.KindOf(err))
	require.ErrorContains(t, err, fmt.Sprint(event.MaxGraded))
	h.failed(large)
	g := b.handle(h, b.store(taken("progress", "r3", nine.Add(2*time.Second), major)))
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, []uint64{large.Sequence}, g.Aside)
	g = b.handle(h, b.store(taken("progress", "r4", nine.Add(3*time.Second), `"plan":"it is done"`)))
	require.Less(t, len(g.Owed), 10, "the answer meets the questions")
}

// TestHandle_ManyCausesSetAside: a record lists the latest, and few of them are retried
// with a cause.
func TestHandle_ManyCausesSetAside(t *testing.T) {
	b := newBench(t)
	h := b.handler()
	b.handle(h, b.store(taken("initial", "r1", nine, onSite+","+short)))
	var failing []event.Stored
	for i := range maxAside + 20 {
		in := b.store(taken("progress", fmt.Sprint("f", i), nine.Add(time.Second), withAnnex+major))
		h.failed(in)
		failing = append(failing, in)
	}
	g := b.handle(h, b.store(progress(2)))
	require.Len(t, g.Aside, maxAside)
	require.Equal(t, failing[20].Sequence, g.Aside[0])
	_, err := h.Handle(t.Context(), failing[0])
	require.Error(t, err, "one that is tried again is not taken for folded")
	mend(t, h)
	g = b.handle(h, b.store(progress(3)))
	require.Len(t, g.Aside, maxAside, "soon after that has failed it is not tried")
	h.memory.retryFailed = map[string]time.Time{}
	g = b.handle(h, b.store(progress(4)))
	require.Len(t, g.Aside, maxAside-maxRetried)
	require.Equal(t, event.Major, g.Grade)
}

// TestConflict_OrderOfMembers: which causes a stored revision has folded may stand anywhere
// in it.
func TestConflict_OrderOfMembers(t *testing.T) {
	h := newBench(t).handler()
	revision := func(body string) event.Stored {
		return event.Stored{Record: event.RawRecord("incident.graded.grid-east.x.1", nine, "", []byte(body))}
	}
	in := event.Stored{Record: event.RawRecord("incident.accepted.grid-east.x.y", nine, "", nil), Sequence: 5}
	require.False(t, h.conflict(in, revision(`{"cause":{"record":7},"aside":[3],"through":7}`)), "it is folded already")
	require.True(t, h.conflict(in, revision(`{"cause":{"record":7},"aside":[3,5],"through":7}`)), "it was set aside")
	require.True(t, h.conflict(in, revision(`{"through":4}`)), "it is later")
	require.True(t, h.conflict(in, revision(`{"through":"7"}`)), "the stored revision cannot be read: the handler finds out why")
}
