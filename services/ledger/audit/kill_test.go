package audit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// killedFolder is where the child of TestKilled works.
const killedFolder = "TOCSIN_KILLED_FOLDER"

// killedChild writes and certifies until it is killed, and now and then removes a record by
// order.
func killedChild(t *testing.T) {
	w := &world{t: t, dir: os.Getenv(killedFolder)}
	w.start()
	fmt.Fprintln(os.Stderr, "ready")
	for i := range 100_000 {
		w.write(1 + rand.IntN(60))
		if i%20 == 19 {
			w.remove(1 + rand.Uint64N(w.certified().Size))
		}
	}
}

// TestKilled: after kill -9 at any moment, the tree continues from the stream to the same
// root as a tree built from scratch; every checkpoint ever seen is a prefix of the last.
// TOCSIN_KILLS sets the number of rounds.
func TestKilled(t *testing.T) {
	if os.Getenv(killedFolder) != "" {
		killedChild(t)
		return
	}
	t.Parallel()
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_KILLS")); err == nil {
		kills = n
	}
	w := &world{t: t, dir: t.TempDir()}
	var seen []string
	for range kills {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.timeout=120s")
		child.Env = append(os.Environ(), killedFolder+"="+w.dir)
		require.NoError(t, child.Start())
		began := time.Now()
		lasts := time.Duration(200+rand.IntN(700)) * time.Millisecond
		for time.Since(began) < lasts || len(seen) == 0 {
			if raw, err := os.ReadFile(filepath.Join(w.tiles(), checkpointFile)); err == nil {
				seen = append(seen, string(raw))
			}
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait(), "it was killed")
	}
	require.NotEmpty(t, seen)
	w.start()
	w.write(1)
	w.certified()
	w.checkedOnce()
	require.Empty(t, w.audited().Damage)
	for _, note := range seen {
		old, err := w.verifier().Open(note)
		require.NoError(t, err)
		a := w.prove(api.ProveRequest{Size: old.Size})
		require.Empty(t, a.Errors)
		c, err := evidence.ParseConsistency(a.Proof)
		require.NoError(t, err)
		require.NoError(t, c.Verify(w.verifier(), old))
	}
	cp := w.log.Last()
	w.stop()
	require.NoError(t, os.RemoveAll(w.tiles()))
	w.start()
	w.write(1)
	require.Eventually(t, func() bool { return w.log.Last().Size == cp.Size+1 }, 30*time.Second, time.Millisecond)
	require.Empty(t, w.log.Damage(), "made from nothing it has the root that was signed")
}
