package classifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// bench is a classifier's handler on a ledger of its own, without a follower: the test
// passes it records in any order.
type bench struct {
	t    *testing.T
	bus  *bus.Bus
	deps Deps
}

func newBench(t *testing.T) *bench {
	b := bustest.Start(t).Bus
	return &bench{t, b, Deps{Bus: b, Clock: clock.NewManual(nine), Rulebook: rulebook(t)}}
}

func (b *bench) handler() *handler {
	return &handler{deps: b.deps, memory: newMemory()}
}

// store commits a report and returns it as stored.
func (b *bench) store(a *event.Accepted) event.Stored {
	b.t.Helper()
	r, err := event.NewRecord(event.AcceptedSubject(a.Operator, a.Incident, a.Source, a.Report), a.ReceivedAt, "", a)
	require.NoError(b.t, err)
	return b.commit(r)
}

func (b *bench) commit(r event.Record) event.Stored {
	b.t.Helper()
	res, err := b.bus.Commit(b.t.Context(), []event.Record{r})
	require.NoError(b.t, err)
	return event.Stored{Record: r, Sequence: res[0].Sequence, StoredAt: r.Time}
}

// handle does what a follower does with one record, and returns the resulting revision,
// or nil.
func (b *bench) handle(h *handler, in event.Stored) *event.Graded {
	b.t.Helper()
	for range 10 {
		out, err := h.Handle(b.t.Context(), in)
		require.NoError(b.t, err)
		if len(out) == 0 {
			return nil
		}
		require.Len(b.t, out, 1)
		res, err := b.bus.Commit(b.t.Context(), out)
		require.NoError(b.t, err)
		if res[0].Existing != nil {
			if !h.conflict(in, *res[0].Existing) {
				return nil
			}
			continue
		}
		g := new(event.Graded)
		require.NoError(b.t, json.Unmarshal(out[0].Data, g))
		return g
	}
	b.t.Fatal("refused again and again")
	return nil
}

func progress(i int) *event.Accepted {
	return taken("progress", fmt.Sprint("p", i), nine.Add(time.Duration(i)*time.Second), fmt.Sprintf(`"cause":"%d"`, i))
}

func TestHandle_RepeatMakesNoRecord(t *testing.T) {
	b := newBench(t)
	first, second := b.store(taken("initial", "r1", nine, onSite+","+large)), b.store(progress(1))
	h := b.handler()
	require.Equal(t, 1, b.handle(h, first).Revision)
	require.Equal(t, 2, b.handle(h, second).Revision)
	require.Nil(t, b.handle(h, first))
	require.Nil(t, b.handle(h, second))
	fresh := b.handler() // after a crash, from the beginning
	require.Nil(t, b.handle(fresh, first), "revision 1 is refused, and read")
	require.Nil(t, b.handle(fresh, second))
	require.Equal(t, 3, b.handle(fresh, b.store(progress(2))).Revision)
}

// withAnnex is a report of a facility that is not registered, until mend adds it.
const withAnnex = `"facilities":["dispatch","annex"],"discoveredAt":"2026-03-02T08:40:00+08:00",`

func mend(t *testing.T, h *handler) {
	const portal = "      - {id: office-portal,"
	h.deps.Rulebook = rulebook(t, portal, "      - {id: annex, sector: energy, region: \"310000\"}\n"+portal)
}

// A report that was given up is folded with the next one, once that is possible.
func TestHandle_FoldsAnAbandonedCauseWithTheNextReport(t *testing.T) {
	b := newBench(t)
	h := b.handler()
	initial, failing, behind, last := b.store(taken("initial", "r1", nine, onSite+","+short)),
		b.store(taken("progress", "r2", nine.Add(time.Second), withAnnex+major)), b.store(progress(2)), b.store(progress(3))
	b.handle(h, initial)
	h.failed(failing)
	require.Equal(t, []uint64{failing.Sequence}, b.handle(h, behind).Aside)
	mend(t, h)
	g := b.handle(h, last)
	require.Empty(t, g.Aside)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, last.Sequence, g.Cause.Record)
	require.Contains(t, g.Cause.Changed, "facts.outage")
	require.Empty(t, h.memory.aside)
	require.Nil(t, b.handle(h, failing), "once")
}

// A report that fails for a while is set aside by the revisions made meanwhile, and
// folded when it is handled at last.
func TestHandle_FoldsACauseAfterATemporaryFailure(t *testing.T) {
	b := newBench(t)
	h := b.handler()
	initial, failing, behind, last := b.store(taken("initial", "r1", nine, onSite+","+short)),
		b.store(taken("progress", "r2", nine.Add(time.Second), withAnnex+major)), b.store(progress(2)), b.store(progress(3))
	b.handle(h, initial)
	h.failed(failing)
	g := b.handle(h, behind)
	require.Equal(t, []uint64{failing.Sequence}, g.Aside)
	require.Equal(t, behind.Sequence, g.Through)
	require.Equal(t, event.General, g.Grade)

	mend(t, h)
	g = b.handle(h, failing)
	require.Empty(t, g.Aside)
	require.Equal(t, behind.Sequence, g.Through)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, failing.Sequence, g.Cause.Record)
	require.JSONEq(t, `"2"`, string(g.State.Fields["cause"].Value))
	require.Nil(t, b.handle(h, failing), "once")
	require.Empty(t, b.handle(h, last).Aside)
	require.Empty(t, h.memory.aside)
}

// A failure before the first revision does not change that.
func TestHandle_FirstReportFails(t *testing.T) {
	b := newBench(t)
	h := b.handler()
	initial, behind := b.store(taken("initial", "r1", nine, withAnnex+large)), b.store(progress(1))
	h.failed(initial)
	g := b.handle(h, behind)
	require.Equal(t, 1, g.Revision)
	require.Equal(t, []uint64{initial.Sequence}, g.Aside)
	require.Empty(t, g.Escalations)
	mend(t, h)
	g = b.handle(h, initial)
	require.Equal(t, 2, g.Revision)
	require.Len(t, g.Escalations, 2, "the two of the dispatch; the annex, which is not CII, adds none")
	i := slices.IndexFunc(g.Duties, func(d event.Duty) bool { return d.Duty == "cii-operator-to-protection" })
	require.GreaterOrEqual(t, i, 0)
	require.WithinDuration(t, nine.Add(40*time.Minute), *g.Duties[i].DueAt, 0, "from discovery, as if it had come first")
}

// A report that failed here but was folded by another instance meanwhile is neither set
// aside nor folded again.
func TestHandle_AnotherInstanceFoldedTheCause(t *testing.T) {
	b := newBench(t)
	one, two := b.handler(), b.handler()
	initial, failing, behind := b.store(taken("initial", "r1", nine, onSite+","+large)), b.store(progress(1)), b.store(progress(2))
	b.handle(one, initial)
	one.failed(failing)
	require.Nil(t, b.handle(two, initial))
	require.Equal(t, 2, b.handle(two, failing).Revision)
	g := b.handle(one, behind)
	require.Equal(t, 3, g.Revision)
	require.Empty(t, g.Aside)
	require.Nil(t, b.handle(one, failing))
	require.Nil(t, b.handle(two, behind))
}

func TestHandle_TwoInstances(t *testing.T) {
	b := newBench(t)
	one, two := b.handler(), b.handler()
	reports := []event.Stored{b.store(taken("initial", "r1", nine, onSite+","+large))}
	for i := range 6 {
		reports = append(reports, b.store(progress(i)))
	}
	made, repeated := 0, 0
	for i, in := range reports { // the two instances take the lead in turn
		first, second := one, two
		if i%2 == 1 {
			first, second = two, one
		}
		if b.handle(first, in) != nil {
			made++
		}
		if i%3 == 0 && b.handle(second, in) != nil {
			repeated++
		}
	}
	require.Equal(t, len(reports), made)
	require.Zero(t, repeated, "the second instance made a revision of a folded report")
}

// A report given up before is set aside after a restart too, also by revision 1.
func TestRecall_ReadsAbandonedCauses(t *testing.T) {
	b := newBench(t)
	poison := b.commit(event.RawRecord("incident.accepted.grid-east.x.y", nine, "", []byte("no JSON")))
	given, err := b.deps.Rulebook.Register.GiveUp(Name, b.deps.Clock)(poison, 3, errors.New("no JSON"))
	require.NoError(t, err)
	b.commit(given)
	h := b.handler()
	require.NoError(t, h.recall(t.Context()))
	g := b.handle(h, b.store(taken("initial", "r1", nine, onSite)))
	require.Equal(t, []uint64{poison.Sequence}, g.Aside)

	h = b.handler()
	require.NoError(t, h.recall(t.Context()))
	require.Equal(t, []uint64{poison.Sequence}, b.handle(h, b.store(progress(1))).Aside)
}

func TestMemory_IsBounded(t *testing.T) {
	h := newBench(t).handler()
	for i := range maxCached + 10 {
		h.memory.keep(fmt.Sprint(i), revision{Graded: &event.Graded{}})
	}
	require.LessOrEqual(t, len(h.memory.revisions), maxCached)
}

// The service as a whole, with its follower.
func TestRun_GivesUpAndContinues(t *testing.T) {
	b := newBench(t)
	poison := b.commit(event.RawRecord("incident.accepted.grid-east.x.y", nine, "", []byte("no JSON")))
	good := b.store(taken("initial", "r1", nine, onSite+","+large))
	bustest.Background(t, func(ctx context.Context) error { return Run(ctx, b.deps) })
	var unhandled event.Stored
	require.Eventually(t, func() (done bool) {
		var err error
		unhandled, err = b.deps.Bus.Last(t.Context(), event.UnhandledSubject(Name, "grid-east", "x", poison.Sequence))
		return err == nil
	}, 30*time.Second, time.Millisecond)
	u, err := event.Decode[event.Unhandled](unhandled)
	require.NoError(t, err)
	require.Equal(t, "protection-energy", u.Desk)
	graded, err := b.deps.Bus.Last(t.Context(), event.GradedSubject("grid-east", "x", 1))
	require.NoError(t, err)
	require.Less(t, graded.Sequence, unhandled.Sequence, "what is behind was not held up")
	g, err := event.Decode[event.Graded](graded)
	require.NoError(t, err)
	require.Equal(t, good.Sequence, g.Cause.Record)
	require.Equal(t, []uint64{poison.Sequence}, g.Aside)
	_, err = b.deps.Bus.Last(t.Context(), event.GradedSubject("grid-east", "x", 2))
	require.ErrorIs(t, err, bus.ErrNotFound)
}

// The hot path: a first report of a kilobyte, from intake's stored record to the
// classifier's record.
func BenchmarkHandle(b *testing.B) {
	h := &handler{deps: Deps{Clock: clock.NewManual(nine), Rulebook: rulebook(b)}, memory: newMemory()}
	text := func(n int) string { return strings.Repeat("供水压力下降", n) }
	body := taken("initial", "r1", nine, onSite+`,"kind":"facility-fault","title":"`+text(1)+`","place":{"region":"310000","address":"`+text(1)+`"},`+
		`"contact":{"post":"值班室","phone":"025-00000000"},"facts":{"peopleAffected":4000},"impact":"`+text(4)+`","measures":"`+text(4)+`",`+
		`"trend":"`+text(3)+`","cause":"`+text(3)+`","leads":"`+text(2)+`","plan":"`+text(3)+`","scene":"`+text(3)+`"`)
	body.SentAt = &body.ReceivedAt
	record, err := event.NewRecord(event.AcceptedSubject("grid-east", "x", body.Source, "r1"), nine, "", body)
	require.NoError(b, err)
	in := event.Stored{Record: record, Sequence: 10, Wire: record.Subject}
	b.ReportAllocs()
	for b.Loop() {
		clear(h.memory.revisions)
		out, err := h.Handle(b.Context(), in)
		if err != nil || len(out) != 1 {
			b.Fatal(out, err)
		}
		b.SetBytes(int64(len(out[0].Data)))
	}
}
