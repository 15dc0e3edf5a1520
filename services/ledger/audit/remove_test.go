package audit

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// story writes the records of an incident: a report, its grading, escalations to two
// desks, one acknowledgement. It returns their sequences.
func (w *world) story(incident string, revisions int) (seqs []uint64) {
	w.t.Helper()
	var records []event.Record
	add := func(subject string, body any) {
		records = append(records, ledgertest.Must(event.NewRecord(subject, ledgertest.Nine, "", body)))
	}
	for n := 1; n <= revisions; n++ {
		revision := []string{"", "1", "2", "3"}[n]
		add("incident.accepted.grid-east."+incident+".r"+revision, event.Accepted{Operator: "grid-east", Incident: incident})
		g := ledgertest.GradedBody(incident, 1)
		g.Revision = n
		add(event.GradedSubject("grid-east", incident, n), g)
		for _, desk := range []string{"protection-energy", "sh-public-security"} {
			id := event.EscalationID(desk, "grid-east", incident, revision)
			add("incident.escalated."+id, event.Escalated{ID: id, Desk: desk, Operator: "grid-east", Incident: incident, Revision: n, Grade: event.Major, Peak: event.Major, ReportedAt: ledgertest.Nine, Report: jsontext.Value(`{"title":"secret words"}`)})
		}
		add(event.AcknowledgedSubject("protection-energy.grid-east."+incident+"."+revision), event.Acknowledgement{Officer: "duty-officer", At: ledgertest.Nine})
	}
	for _, r := range records {
		res, err := w.env.Bus.Commit(ledgertest.Anyone(w.t), []event.Record{r})
		require.NoError(w.t, err)
		seqs = append(seqs, res[0].Sequence)
	}
	return seqs
}

func (w *world) remove(record uint64) api.RemoveAnswer {
	w.t.Helper()
	return w.removed(api.RemoveRequest{Record: record, Order: "order 7/2026", Officer: "records-officer", Reason: "names a person"})
}

func TestRemovalByOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(5)
	seqs := w.story("x", 2)
	w.write(5)
	w.certified()
	w.remember()

	a := w.remove(seqs[2])
	require.Equal(t, event.StatusAccepted, a.Status, "%+v", a)
	require.EqualValues(t, 1, a.Removed)
	require.Equal(t, slices.DeleteFunc(slices.Clone(seqs), func(s uint64) bool { return s == seqs[2] || s == seqs[4] || s == seqs[9] }), a.Copies)
	_, err := w.env.Bus.Get(ledgertest.Anyone(t), seqs[2])
	require.ErrorIs(t, err, bus.ErrNotFound)
	again := w.remove(seqs[2])
	require.Equal(t, event.StatusDuplicate, again.Status)
	require.Equal(t, a.Record, again.Record)

	for _, record := range []uint64{seqs[0], seqs[1], a.Record} { // the removal itself can be proved
		p, err := evidence.ParseProof(w.prove(api.ProveRequest{Record: record}).Proof)
		require.NoError(t, err)
		_, err = p.Verify(w.verifier())
		require.NoError(t, err)
	}
	gone := w.prove(api.ProveRequest{Record: seqs[2]})
	require.Contains(t, gone.Errors[0].Message, "was removed by order order 7/2026 (records-officer)")

	cp := w.certified()
	require.Empty(t, w.audited().Damage)
	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	w.start()
	w.write(1)
	require.Eventually(t, func() bool { return w.log.Last().Size == cp.Size+1 }, 30*time.Second, time.Millisecond)
	require.Empty(t, w.log.Damage(), "the tree made anew has the root that was signed")
	require.EqualValues(t, 1, w.state().Removed)
}

func TestRemove_Refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seqs := w.story("x", 2)
	rules, err := w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{ledgertest.Must(event.NewRecord(event.RulesSubject(strings.Repeat("a", 64)), ledgertest.Nine, "", event.RulesBody{}))})
	require.NoError(t, err)
	w.certified()
	for record, why := range map[uint64]string{
		seqs[6]: "the incident's last revision", rules[0].Sequence: "belongs to no incident", 99: "no record 99 is certified", 0: "no record 0",
	} {
		a := w.remove(record)
		require.Len(t, a.Errors, 1)
		require.Contains(t, a.Errors[0].Message, why)
	}
	a := w.removed(api.RemoveRequest{Record: 1})
	require.Len(t, a.Errors, 2)
	require.Equal(t, event.StatusAccepted, w.remove(seqs[1]).Status, "an earlier revision")
	removal := w.remove(seqs[0]).Record
	w.certified()
	require.Contains(t, w.remove(removal).Errors[0].Message, "belongs to no incident")
}

// TestRemove_FinishedAfterACrash: a process that died after the removal was on disk erases at its
// next start, and only the records that the removal names.
func TestRemove_FinishedAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(10)
	w.certified()
	w.remember()
	_, err := w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{
		ledgertest.Must(event.NewRecord(event.RemovedSubject(3), ledgertest.Nine, "", event.Removal{First: 3, Entries: []evidence.Hash{w.stored[2].Entry(), {}, w.stored[4].Entry()}, Basis: event.BasisRetention, Officer: "o"})),
	})
	require.NoError(t, err)
	w.certified()
	w.restart()
	for _, s := range w.stored {
		_, err := w.env.Bus.Get(ledgertest.Anyone(t), s.Sequence)
		if s.Sequence == 3 || s.Sequence == 5 {
			require.ErrorIs(t, err, bus.ErrNotFound)
		} else {
			require.NoError(t, err)
		}
	}
	w.checkedOnce()
	require.Empty(t, w.log.Damage())
	_, err = w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{
		ledgertest.Must(event.NewRecord(event.RemovedSubject(7), ledgertest.Nine, "", event.Removal{First: 7, Entries: []evidence.Hash{{9}}, Basis: event.BasisOrder, Officer: "o"})),
	})
	require.NoError(t, err)
	w.certified()
	w.restart()
	_, err = w.env.Bus.Get(ledgertest.Anyone(t), 7)
	require.NoError(t, err, "a removal that names another entry erases nothing")
	require.NotEmpty(t, w.log.Damage())
}

func TestArchiving(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir(), keep: 6, articles: []string{"some law, art. 1: at least P6M"}}
	w.start()
	rules, err := w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{ledgertest.Must(event.NewRecord(event.RulesSubject(strings.Repeat("a", 64)), ledgertest.Nine, "", event.RulesBody{}))})
	require.NoError(t, err)
	seqs := w.story("x", 2)
	cp := w.certified()
	archive := func(first, last uint64) api.RemoveAnswer {
		return w.archived(api.ArchiveRequest{First: first, Last: last, Export: strings.Repeat("b", 64), Officer: "records-officer"})
	}
	refused := archive(1, cp.Size)
	require.Len(t, refused.Errors, 1)
	require.Contains(t, refused.Errors[0].Message, "nothing younger than P6M is archived (some law, art. 1: at least P6M)")
	require.Contains(t, archive(1, 999).Errors[0].Message, "not a range of certified records")

	w.stop()
	w.keep = 0 // as if six months had passed
	w.start()
	a := archive(1, cp.Size)
	require.Empty(t, a.Errors)
	require.Zero(t, a.Next)
	require.EqualValues(t, len(seqs)-1, a.Removed)
	require.EqualValues(t, 2, a.Kept, "the rules, and the last revision of the incident")
	for _, s := range append(slices.Clone(seqs), rules[0].Sequence) {
		_, err := w.env.Bus.Get(ledgertest.Anyone(t), s)
		if s == rules[0].Sequence || s == seqs[6] {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, bus.ErrNotFound)
		}
	}
	again := archive(1, cp.Size)
	require.Zero(t, again.Removed)
	p := w.prove(api.ProveRequest{Record: seqs[0]})
	require.Contains(t, p.Errors[0].Message, "was archived; the export whose manifest has the SHA-256 bbbb")
	require.Empty(t, w.audited().Damage)
	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	w.start()
	w.write(1)
	require.Eventually(t, func() bool { return w.log.Last().Size > cp.Size }, 30*time.Second, time.Millisecond)
	require.Empty(t, w.log.Damage())
}

// TestArchive_KeepsIncidentsWithYoungerRecords: an incident with younger records keeps all of its own.
func TestArchive_KeepsIncidentsWithYoungerRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.story("old", 1)
	seqs := w.story("lasting", 1)
	w.certified()
	last, err := w.env.Bus.Get(ledgertest.Anyone(t), seqs[len(seqs)-1])
	require.NoError(t, err)
	removal, kept, err := w.log.archivable(ledgertest.Anyone(t), 1, last.Sequence, last.StoredAt)
	require.NoError(t, err)
	require.EqualValues(t, 4, removal.Count())
	require.EqualValues(t, 1+len(seqs), kept)
}

// TestArchive_RepeatedRequest: a request repeated while the first is being answered removes
// nothing twice, and the count stays right.
func TestArchive_RepeatedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, incident := range []string{"a", "b", "c"} {
		w.story(incident, 2)
	}
	w.write(300)
	cp := w.certified()
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			_, err := w.log.Archive(ledgertest.Anyone(t), api.ArchiveRequest{First: 1, Last: cp.Size, Export: "e", Officer: "o"}, endpoint.Request{})
			return err
		})
	}
	require.NoError(t, g.Wait())
	state, err := w.env.Bus.State(ledgertest.Anyone(t))
	require.NoError(t, err)
	require.Equal(t, state.Last, state.Messages+w.log.removals.total())
	require.EqualValues(t, 3*9+300, w.log.removals.total())
	require.Empty(t, w.audited().Damage)
	w.restart()
	w.checkedOnce()
	require.Empty(t, w.log.Damage())
	require.EqualValues(t, 3*9+300, w.log.removals.total())
}

// TestRemove_SubjectOfTheRemovalIsTaken: another record in the place of a removal does not make
// it look done.
func TestRemove_SubjectOfTheRemovalIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(20)
	w.certified()
	for _, data := range [][]byte{[]byte(`{}`), []byte(`no JSON`)} {
		record := uint64(5 + len(data))
		_, err := bustest.JetStream(t, w.env).Publish(ledgertest.Anyone(t), event.RemovedSubject(record), data)
		require.NoError(t, err)
		a := w.remove(record)
		require.Len(t, a.Errors, 1)
		require.Contains(t, a.Errors[0].Message, "has taken the place of its removal")
		_, err = w.env.Bus.Get(ledgertest.Anyone(t), record)
		require.NoError(t, err)
	}
}

// TestRemoval_ForgedIsDamage also while every record that it names still exists.
func TestRemoval_ForgedIsDamage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(20)
	w.certified()
	_, err := w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{
		ledgertest.Must(event.NewRecord(event.RemovedSubject(7), ledgertest.Nine, "", event.Removal{First: 7, Entries: []evidence.Hash{{9}}, Basis: event.BasisOrder, Officer: "o"})),
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.log.Damage()) > 0 }, 30*time.Second, 10*time.Millisecond)
	require.EqualValues(t, 7, w.log.Damage()[0].First)
	_, err = w.env.Bus.Get(ledgertest.Anyone(t), 7)
	require.NoError(t, err)
}
