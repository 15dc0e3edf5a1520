package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// world is a data folder with a server and a ledger on it, which can be stopped, modified
// and started again.
type world struct {
	t        testing.TB
	dir      string
	keep     statute.Months
	articles []string
	env      *bustest.Env
	log      *Log
	end      func()
	stored   []event.Stored // the stream's records when it was whole
}

// noIndex is an index that is never behind.
type noIndex struct{}

func (noIndex) IsIndexBehind() bool { return false }

// details returns what a refused request is told; any other error fails the test.
func (w *world) details(err error) []fault.Detail {
	w.t.Helper()
	details := fault.DetailsOf(err)
	if details == nil {
		require.NoError(w.t, err)
	}
	return details
}

// prove answers as the service's endpoint does.
func (w *world) prove(q api.ProveRequest) (a api.ProveAnswer) {
	w.t.Helper()
	if q.Size > 0 {
		a, err := w.log.ProveGrown(ledgertest.Anyone(w.t), q.Size)
		a.Errors = w.details(err)
		return a
	}
	s, cp, err := w.log.Provable(ledgertest.Anyone(w.t), q.Record)
	switch {
	case err == nil && s.Wire == "":
		err = w.log.WhyGone(ledgertest.Anyone(w.t), q.Record)
	case err == nil:
		a, err = w.log.ProveRecord(s, cp)
	}
	a.Errors = w.details(err)
	return a
}

func (w *world) check(q api.AuditRequest) api.AuditAnswer {
	w.t.Helper()
	a, err := w.log.Audit(ledgertest.Anyone(w.t), q)
	require.NoError(w.t, err)
	return a
}

func (w *world) state() api.LogState {
	w.t.Helper()
	s, err := w.log.State(ledgertest.Anyone(w.t))
	require.NoError(w.t, err)
	return s
}

func (w *world) tilesAt(q api.TilesRequest) api.TilesAnswer {
	w.t.Helper()
	a, err := w.log.Tiles(ledgertest.Anyone(w.t), q)
	require.NoError(w.t, err)
	return a
}

func (w *world) removed(q api.RemoveRequest) api.RemoveAnswer {
	w.t.Helper()
	a, err := w.log.Remove(ledgertest.Anyone(w.t), q, endpoint.Request{})
	a.Errors = w.details(err)
	return a
}

func (w *world) archived(q api.ArchiveRequest) api.RemoveAnswer {
	w.t.Helper()
	a, err := w.log.Archive(ledgertest.Anyone(w.t), q, endpoint.Request{})
	a.Errors = w.details(err)
	return a
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.start()
	return w
}

func (w *world) nats() string  { return filepath.Join(w.dir, "nats") }
func (w *world) own() string   { return filepath.Join(w.dir, "ledger") }
func (w *world) tiles() string { return filepath.Join(w.own(), logFolder) }
func (w *world) deps() Deps {
	return Deps{Stream: w.env.Bus, Callers: w.env.Endpoints, Index: noIndex{}, Clock: clock.System{}, Log: w.env.Log, Dir: w.own(), Keep: w.keep, Articles: w.articles, Alone: true}
}

func (w *world) start() {
	w.t.Helper()
	require.NoError(w.t, w.open())
	w.run()
}

// open opens the ledger without running it.
func (w *world) open() (err error) {
	w.env = bustest.StartIn(w.t, w.nats(), clock.System{})
	w.log, err = Open(ledgertest.Anyone(w.t), w.deps())
	return err
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	l := w.log
	go func() { ended <- l.Run(ctx) }()
	stopped := false
	w.end = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.ErrorIs(w.t, <-ended, context.Canceled)
	}
	w.t.Cleanup(w.end)
}

// stop stops the ledger and the server.
func (w *world) stop() {
	w.end()
	w.env.Bus.Close()
	w.env.Conn.Close()
	w.env.Server.Stop()
}

func (w *world) restart() { w.stop(); w.start() }

// write stores n more records, of some hundred bytes each.
func (w *world) write(n int) {
	w.t.Helper()
	state, err := w.env.Bus.State(ledgertest.Anyone(w.t))
	require.NoError(w.t, err)
	for first := int(state.Last) + 1; n > 0; {
		records := make([]event.Record, min(1000, n))
		for i := range records {
			subject := fmt.Sprintf("incident.accepted.grid-east.i%d.r", first+i)
			records[i] = ledgertest.Must(event.NewRecord(subject, ledgertest.Nine, "", map[string]string{"text": fmt.Sprintf("%0200d", i)}))
		}
		_, err := w.env.Bus.Commit(ledgertest.Anyone(w.t), records)
		require.NoError(w.t, err)
		first, n = first+len(records), n-len(records)
	}
}

// certified waits until the checkpoint covers all stored records, and returns it.
func (w *world) certified() evidence.Checkpoint {
	w.t.Helper()
	head, err := w.env.Bus.Head(ledgertest.Anyone(w.t))
	require.NoError(w.t, err)
	require.Eventually(w.t, func() bool { return w.log.Last().Size >= head }, 30*time.Second, time.Millisecond)
	return w.log.Last()
}

// remember keeps the stream's records.
func (w *world) remember() {
	w.stored = nil
	require.NoError(w.t, w.env.Bus.Range(ledgertest.Anyone(w.t), 1, 1<<40, bus.Ahead, func(batch []event.Stored) error {
		w.stored = append(w.stored, batch...)
		return nil
	}))
}

// rootOf returns the root of a tree built from the records.
func (w *world) rootOf(stored []event.Stored) evidence.Hash {
	tree, err := evidence.OpenTree(w.t.TempDir(), 0)
	require.NoError(w.t, err)
	for _, s := range stored {
		require.Equal(w.t, tree.Size()+1, s.Sequence)
		require.NoError(w.t, tree.Append(s.Entry()))
	}
	return tree.Root()
}

func (w *world) verifier() evidence.Verifier {
	v, err := evidence.NewVerifier(w.log.key.Verifier())
	require.NoError(w.t, err)
	return v
}

// audited runs a check to its end and returns what it found.
func (w *world) audited() api.AuditAnswer {
	w.t.Helper()
	last := w.check(api.AuditRequest{})
	after := last.ID
	if last.Running {
		after-- // a checkpoint that is near enough
	}
	var answer api.AuditAnswer
	require.Eventually(w.t, func() bool {
		answer = w.check(api.AuditRequest{After: after})
		return answer.ID > after && !answer.Running
	}, 30*time.Second, 5*time.Millisecond)
	require.NotNil(w.t, answer.Ended)
	return answer
}

func TestCheckpoint_FollowsTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, n := range []int{1, 1, 3, 250, 2, 600} {
		w.write(n)
		cp := w.certified()
		w.remember()
		require.Equal(t, w.rootOf(w.stored), cp.Root)
		opened, err := w.verifier().Open(cp.Note)
		require.NoError(t, err)
		require.Equal(t, cp, opened)
		raw, err := os.ReadFile(filepath.Join(w.tiles(), checkpointFile))
		require.NoError(t, err)
		require.Equal(t, cp.Note, string(raw))
	}
	info, err := os.Stat(filepath.Join(w.own(), keyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	state := w.state()
	require.Equal(t, w.log.key.Verifier(), state.Key)
	require.EqualValues(t, 857, state.Size)
	require.Empty(t, state.Damage)
	require.Empty(t, w.audited().Damage)
	require.NoFileExists(t, filepath.Join(w.own(), damageFile))
}

func TestTree_ContinuesAndIsRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(700)
	w.certified()
	w.restart()
	w.write(400)
	cp := w.certified()
	w.remember()
	require.Equal(t, w.rootOf(w.stored), cp.Root)

	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	w.start()
	w.write(1)
	require.Eventually(t, func() bool { return w.log.Last().Size == 1101 }, 30*time.Second, time.Millisecond)
	w.remember()
	require.Equal(t, w.rootOf(w.stored), w.log.Last().Root)
	require.Empty(t, w.log.Damage())
	require.Empty(t, w.audited().Damage)

	first := w.log.key.Verifier()
	w.stop()
	require.NoError(t, os.Remove(filepath.Join(w.own(), keyFile)))
	require.ErrorContains(t, w.open(), "the key that signed this log's checkpoints is missing")
	require.NoError(t, os.RemoveAll(w.own()))
	_, err := Open(ledgertest.Anyone(t), w.deps())
	require.ErrorContains(t, err, "the key that signed this log's checkpoints is missing", "nobody else writes checkpoints here")
	shared := w.deps()
	shared.Alone = false
	second, err := Open(ledgertest.Anyone(t), shared)
	require.NoError(t, err, "a second log over a stream that others use too")
	require.NotEqual(t, first, second.key.Verifier())
}

// TestTree_RebuiltMustHaveTheSignedRoot: without the tree, only the checkpoint beside
// the stream shows that the stream is a different one.
func TestTree_RebuiltMustHaveTheSignedRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(10)
	cp := w.certified()
	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	require.NoError(t, w.open())
	_, err := bustest.JetStream(t, w.env).Publish(ledgertest.Anyone(t), "incident.accepted.grid-east.more.r", nil)
	require.NoError(t, err)
	other, err := w.log.key.Sign(cp.Size, w.rootOf(nil))
	require.NoError(t, err)
	require.NoError(t, w.env.Bus.SaveCheckpoint(ledgertest.Anyone(t), w.log.key.ID(), other.Note))
	w.log, err = Open(ledgertest.Anyone(t), w.deps())
	require.NoError(t, err)
	w.run()
	require.Eventually(t, func() bool { return len(w.log.Damage()) > 0 }, 30*time.Second, time.Millisecond)
	require.Equal(t, event.DamageChanged, w.log.Damage()[0].Kind)
	require.Equal(t, other, w.log.Last(), "the last good checkpoint stands")
}

func TestProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(300)
	old := w.certified()
	w.write(301)
	w.certified()
	for _, record := range []uint64{1, 2, 256, 257, 300, 601} {
		a := w.prove(api.ProveRequest{Record: record})
		p, err := evidence.ParseProof(a.Proof)
		require.NoError(t, err)
		cp, err := p.Verify(w.verifier())
		require.NoError(t, err)
		require.EqualValues(t, 601, cp.Size)
		s, err := w.env.Bus.Get(ledgertest.Anyone(t), record)
		require.NoError(t, err)
		require.Equal(t, s.Data, p.Record.Body)
		require.Equal(t, s.Wire, p.Record.Subject)
	}
	a := w.prove(api.ProveRequest{Size: old.Size})
	c, err := evidence.ParseConsistency(a.Proof)
	require.NoError(t, err)
	require.NoError(t, c.Verify(w.verifier(), old))

	for q, says := range map[api.ProveRequest]string{
		{Record: 602}: "no checkpoint covers record 602", {Size: 700}: "fewer than 700",
	} {
		a := w.prove(q)
		require.Len(t, a.Errors, 1)
		require.Contains(t, a.Errors[0].Message, says)
	}
	b := w.tilesAt(api.TilesRequest{Paths: []string{"tile/0/000", "tile/entries/002.p/89", "tile/0/002.p/90", "tile/0/009", "checkpoint", "../key"}})
	require.Len(t, b.Tiles, 6)
	require.Len(t, b.Tiles[0], 256*32)
	require.Len(t, b.Tiles[1], 89*34)
	for _, none := range b.Tiles[2:] {
		require.Nil(t, none)
	}
}

// TestCheckpoint_FileIsWrittenFirst: a crash between the two must not look like a tree
// restored from a backup.
func TestCheckpoint_FileIsWrittenFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(10)
	before := w.certified()
	path, aside := filepath.Join(w.tiles(), checkpointFile), filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(path, aside))
	require.NoError(t, os.Mkdir(path, 0o700)) // which no file can replace
	w.write(10)
	file := filepath.Join(w.tiles(), "tile/0/000.p/20")
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, 30*time.Second, time.Millisecond)
	w.stop()
	w.env = bustest.StartIn(t, w.nats(), clock.System{})
	kept, err := w.env.Bus.Checkpoints(ledgertest.Anyone(t))
	require.NoError(t, err)
	require.Equal(t, before.Note, kept[w.log.key.ID()])
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Rename(aside, path))
	w.log, err = Open(ledgertest.Anyone(t), w.deps())
	require.NoError(t, err)
	w.run()
	require.EqualValues(t, 20, w.certified().Size)
	require.Empty(t, w.log.found())
}
