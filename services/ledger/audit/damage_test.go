package audit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/natsd"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// copyOf returns a world on a copy of the folder of another one, which is stopped.
func (w *world) copyOf(t testing.TB) *world {
	c := &world{t: t, dir: t.TempDir(), stored: w.stored}
	require.NoError(t, os.CopyFS(c.dir, os.DirFS(w.dir)))
	for _, key := range []string{"ledger/" + keyFile} { // CopyFS widens the permissions of a file
		require.NoError(t, os.Chmod(filepath.Join(c.dir, key), 0o600))
	}
	return c
}

// blocks returns the engine's files of the stream.
func (w *world) blocks() []string {
	found, err := filepath.Glob(filepath.Join(w.nats(), "jetstream/*/streams/LEDGER/msgs/*.blk"))
	require.NoError(w.t, err)
	require.NotEmpty(w.t, found)
	slices.SortFunc(found, func(a, b string) int { return blockNumber(a) - blockNumber(b) })
	return found
}

func blockNumber(path string) int {
	name := filepath.Base(path)
	n, _ := strconv.Atoi(name[:len(name)-len(".blk")])
	return n
}

// edit changes a file.
func edit(t testing.TB, path string, change func([]byte) []byte) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, change(raw), 0o600))
}

// forgetState removes the engine's stored state of its blocks, so that it reads them at
// the start.
func (w *world) forgetState() {
	require.NoError(w.t, os.RemoveAll(filepath.Join(filepath.Dir(w.blocks()[0]), "index.db")))
}

// checkedOnce waits for the check that a start triggers.
func (w *world) checkedOnce() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		w.log.checks.mu.Lock()
		defer w.log.checks.mu.Unlock()
		w.log.checks.urgent = true
		return w.log.checks.state.Ended != nil
	}, 30*time.Second, 5*time.Millisecond)
}

// idleStream is a stream that nobody writes to.
type idleStream struct{ Stream }

func (idleStream) IsWriting() bool { return false }

// A check rests between two batches, and a request for the result ends its rest.
func TestCheck_RestsUntilSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Log{deps: Deps{Stream: idleStream{}, Index: noIndex{}}}
		l.checks.wanted, l.checks.waited = make(chan struct{}, 1), make(chan struct{}, 1)
		l.checks.state.Running = true
		began := time.Now()
		l.pace()(t.Context(), 0, time.Hour)
		require.Equal(t, restFactor*time.Hour, time.Since(began))
		rested := make(chan struct{})
		began = time.Now()
		go func() {
			defer close(rested)
			l.pace()(t.Context(), 0, time.Hour)
		}()
		synctest.Wait()
		_, err := l.Audit(t.Context(), api.AuditRequest{})
		require.NoError(t, err)
		<-rested
		require.Zero(t, time.Since(began))
	})
}

// lost returns the remembered records that the stream no longer has unchanged, by reading
// it.
func (w *world) lost() (lost []uint64) {
	now := map[uint64]evidence.Hash{}
	require.NoError(w.t, w.env.Bus.Range(ledgertest.Anyone(w.t), 1, 1<<40, bus.Ahead, func(batch []event.Stored) error {
		for _, s := range batch {
			now[s.Sequence] = s.Entry()
		}
		return nil
	}))
	for _, s := range w.stored {
		if now[s.Sequence] != s.Entry() {
			lost = append(lost, s.Sequence)
		}
	}
	return lost
}

// named returns the records named by the damage found.
func (w *world) named() (named []uint64) {
	for _, d := range w.log.Damage() {
		for r := d.First; r > 0 && r <= d.Last; r++ {
			named = append(named, r)
		}
	}
	slices.Sort(named)
	return slices.Compact(named)
}

// TestCheck_NamesEveryLostRecord modifies the engine's own files and starts again: every lost
// record is named, and nothing else. TOCSIN_FLIPS sets the number of rounds.
func TestCheck_NamesEveryLostRecord(t *testing.T) {
	t.Parallel()
	base := newWorld(t)
	base.write(9000) // more than one block
	before := base.certified()
	base.remember()
	base.stop()
	require.Greater(t, len(base.blocks()), 1)
	rounds := 4 // each kind of damage
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_FLIPS")); err == nil {
		rounds = n
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		w := base.copyOf(t)
		blocks := w.blocks()
		block := blocks[random.IntN(len(blocks))]
		what := "a bit flipped"
		switch round % 4 {
		case 0, 1:
			edit(t, block, func(raw []byte) []byte {
				raw[random.IntN(len(raw))] ^= 1 << random.IntN(8)
				return raw
			})
		case 2:
			what = "a tail cut"
			block = blocks[len(blocks)-1]
			edit(t, block, func(raw []byte) []byte { return raw[:random.IntN(len(raw))] })
		case 3:
			what = "a block cut"
			edit(t, block, func(raw []byte) []byte { return raw[:len(raw)-1-random.IntN(2000)] })
		}
		if round%2 == 0 {
			w.forgetState()
		}
		where := fmt.Sprintf("seed %d round %d: %s in %s", seed, round, what, filepath.Base(block))
		_, err := natsd.MendBlocks(w.nats()) // as the guard of a server does before it ends the process
		require.NoError(t, err, where)
		w.start()
		w.checkedOnce()
		lost, damage := w.lost(), w.log.Damage()
		require.NotEmpty(t, lost, where)
		require.Equal(t, lost, w.named(), "%s: %+v", where, damage)
		require.Equal(t, before, w.log.Last(), "the last good checkpoint stands")
		require.FileExists(t, filepath.Join(w.own(), damageFile))
		isCut := slices.ContainsFunc(damage, func(d event.Damage) bool { return d.Kind == event.DamageCut })
		require.Equal(t, isCut, w.log.IsFrozen(), "new records would take the places of certified ones: %s", where)
		w.stop()
	}
}

// TestDamage damages a log in every possible way, one at a time.
func TestDamage(t *testing.T) {
	t.Parallel()
	healthy, healthyMu := newWorld(t), sync.Mutex{}
	base := newWorld(t)
	base.write(600)
	base.certified()
	base.stop()
	older := base.copyOf(t)
	base.start()
	base.write(400)
	cp := base.certified()
	base.remember()
	base.stop()
	replace := func(from, to string) {
		require.NoError(t, os.RemoveAll(to))
		require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	}
	tile := func(w *world, path string) string { return filepath.Join(w.tiles(), path) }
	flip := func(path string) {
		edit(t, path, func(raw []byte) []byte { raw[len(raw)/2] ^= 4; return raw })
	}
	for name, c := range map[string]struct {
		do          func(w *world)
		kind        string
		first, last uint64
		frozen      bool
	}{
		"a stream put back from an older copy": {
			func(w *world) { replace(older.nats(), w.nats()) }, event.DamageCut, 601, 1000, true},
		"a tree put back from an older copy": {
			func(w *world) { replace(older.tiles(), w.tiles()) }, event.DamageTree, 601, 1000, false},
		"a leaf tile changed":   {func(w *world) { flip(tile(w, "tile/0/001")) }, event.DamageTree, 257, 512, false},
		"a bundle changed":      {func(w *world) { flip(tile(w, "tile/entries/000")) }, event.DamageTree, 1, 256, false},
		"the edge changed":      {func(w *world) { flip(tile(w, "tile/0/003.p/232")) }, event.DamageTree, 769, 1000, false},
		"the checkpoint forged": {func(w *world) { flip(tile(w, checkpointFile)) }, event.DamageTree, 0, 0, false},
		"a record erased behind our back": {func(w *world) {
			behind(w, func(w *world) {
				s, err := bustest.JetStream(t, w.env).Stream(ledgertest.Anyone(t), event.StreamLedger)
				require.NoError(t, err)
				require.NoError(t, s.DeleteMsg(ledgertest.Anyone(t), 500))
			})
		}, event.DamageMissing, 500, 500, false},
		"the last record erased behind our back": {func(w *world) {
			behind(w, func(w *world) { require.NoError(t, w.env.Bus.Erase(ledgertest.Anyone(t), 1000)) })
		}, event.DamageMissing, 1000, 1000, false},
		"a forged removal": {func(w *world) {
			behind(w, func(w *world) {
				forged := ledgertest.Must(event.NewRecord(event.RemovedSubject(500), ledgertest.Nine, "", event.Removal{First: 500, Entries: []evidence.Hash{{1}}, Basis: event.BasisOrder, Order: "x", Officer: "y"}))
				_, err := w.env.Bus.Commit(ledgertest.Anyone(t), []event.Record{forged})
				require.NoError(t, err)
				require.NoError(t, w.env.Bus.Erase(ledgertest.Anyone(t), 500))
			})
		}, event.DamageChanged, 500, 500, false},
		"another record in the place of one": {func(w *world) {
			replace(older.nats(), w.nats())
			behind(w, func(w *world) { w.write(400) })
		}, event.DamageChanged, 601, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := base.copyOf(t)
			c.do(w)
			w.start()
			w.checkedOnce()
			damage := w.log.Damage()
			require.True(t, slices.ContainsFunc(damage, func(d event.Damage) bool {
				return d.Kind == c.kind && d.First == c.first && d.Last == c.last && d.Detail != "" && !d.FoundAt.IsZero()
			}), "%+v", damage)
			require.Equal(t, c.frozen, w.log.IsFrozen())
			require.Equal(t, cp, w.log.Last(), "the last good checkpoint stands")
			state := w.state()
			require.NotEmpty(t, state.Damage)
			require.NotEmpty(t, w.audited().Damage)
			if !c.frozen {
				w.write(1)
				healthyMu.Lock()
				healthy.write(1)
				healthy.certified()
				healthyMu.Unlock()
				require.Equal(t, cp, w.log.Last(), "certification has stopped, while another log goes on")
			}
			w.stop()
		})
	}
}

// behind opens the stream without a ledger.
func behind(w *world, do func(w *world)) {
	w.env = bustest.StartIn(w.t, w.nats(), clock.System{})
	do(w)
	w.env.Bus.Close()
	w.env.Conn.Close()
	w.env.Server.Stop()
}

// TestDamage_ClearedByAFullCheck: certification resumes only after a full check has
// found nothing.
func TestDamage_ClearedByAFullCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(600)
	w.certified()
	w.stop()
	good := w.copyOf(t)
	edit(t, filepath.Join(w.tiles(), "tile/0/001"), func(raw []byte) []byte { raw[0] ^= 1; return raw })
	w.start()
	w.checkedOnce()
	require.NotEmpty(t, w.log.Damage())
	w.restart()
	require.NotEmpty(t, w.log.Damage(), "known from before, already at the start")
	w.checkedOnce()
	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	require.NoError(t, os.CopyFS(w.tiles(), os.DirFS(good.tiles())))
	w.start()
	w.write(1)
	require.Eventually(t, func() bool { return w.log.Last().Size == 601 }, 30*time.Second, time.Millisecond)
	require.Empty(t, w.log.Damage())
	require.NoFileExists(t, filepath.Join(w.own(), damageFile))
}

// TestReportMissing_NeedsTheEngineToConfirm: a record that the engine did not deliver is not
// missing while the engine has it.
func TestReportMissing_NeedsTheEngineToConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(20)
	w.certified()
	require.ErrorIs(t, w.log.reportMissing(ledgertest.Anyone(t), 5, 9), bus.ErrUnavailable)
	require.Empty(t, w.log.Damage())
	for record := range uint64(5) {
		require.NoError(t, w.env.Bus.Remove(ledgertest.Anyone(t), 5+record))
	}
	require.NoError(t, w.log.reportMissing(ledgertest.Anyone(t), 5, 9))
	require.NotEmpty(t, w.log.Damage())
}

// TestTruncatedStream_FreezesWriting: cutting the stream of a running system is detected, and nothing
// is written from then on, in any process, until the stream is whole again.
func TestTruncatedStream_FreezesWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(50)
	w.certified()
	js := bustest.JetStream(t, w.env)
	s, err := js.Stream(ledgertest.Anyone(t), event.StreamLedger)
	require.NoError(t, err)
	config := s.CachedInfo().Config
	require.NoError(t, js.DeleteStream(ledgertest.Anyone(t), event.StreamLedger))
	_, err = js.CreateStream(ledgertest.Anyone(t), config)
	require.NoError(t, err)
	other := bustest.Join(t, w.env, clock.System{}, event.Real)
	for _, b := range []*bus.Bus{w.env.Bus, other.Bus} {
		require.Eventually(t, func() bool { return b.FreezeReason() == FrozenReply }, 30*time.Second, 5*time.Millisecond)
		_, err = b.Commit(ledgertest.Anyone(t), []event.Record{ledgertest.Must(event.NewRecord("incident.accepted.grid-east.x.r", ledgertest.Nine, "", 1))})
		require.Equal(t, bus.Frozen(FrozenReply), err)
	}
	require.True(t, w.log.IsFrozen())
	state := w.state()
	require.EqualValues(t, 50, state.Size, "the last good checkpoint stands")
	require.Equal(t, event.DamageCut, state.Damage[0].Kind)
	w.stop()

	require.NoError(t, os.RemoveAll(w.own())) // another log, which has certified nothing
	deps := func() Deps { d := w.deps(); d.Alone = false; return d }
	w.env = bustest.StartIn(t, w.nats(), clock.System{})
	require.NotEmpty(t, w.env.Bus.FreezeReason(), "a freeze by one log is not ended by another")
	_, err = Open(ledgertest.Anyone(t), deps())
	require.NoError(t, err)
	require.NotEmpty(t, w.env.Bus.FreezeReason())
}
