package audit

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Tiles deleted while the ledger runs are rebuilt from the stream, and certification
// continues without a restart.
func TestTiles_DeletedWhileRunningAreRebuilt(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(w *world) error{
		"the whole folder":   func(w *world) error { return os.RemoveAll(w.tiles()) },
		"all tiles":          func(w *world) error { return os.RemoveAll(filepath.Join(w.tiles(), "tile")) },
		"a full bundle":      func(w *world) error { return os.Remove(filepath.Join(w.tiles(), "tile/entries/000")) },
		"the checkpoint":     func(w *world) error { return os.Remove(filepath.Join(w.tiles(), checkpointFile)) },
		"tiles, and at rest": func(w *world) error { return os.RemoveAll(filepath.Join(w.tiles(), "tile")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.write(600)
			w.certified()
			w.remember()
			require.NoError(t, remove(w))
			if name != "tiles, and at rest" {
				w.write(1)
				w.certified()
			}
			whole := func() bool {
				cp := w.log.Last()
				kept, err := os.ReadFile(filepath.Join(w.tiles(), checkpointFile))
				return err == nil && string(kept) == cp.Note && w.log.CertificationFailure() == nil && evidence.CheckTiles(t.Context(), w.log.folder, cp) == nil
			}
			asked := func() bool {
				w.check(api.AuditRequest{After: 1 << 40}) // finds tiles that nothing reads
				return whole()
			}
			require.Eventually(t, asked, 30*time.Second, 20*time.Millisecond)
			require.Empty(t, w.log.Damage())
			w.write(1)
			w.certified()
			w.remember()
			require.Equal(t, w.rootOf(w.stored), w.log.Last().Root)
			require.Empty(t, w.audited().Damage)
			w.restart()
			require.Empty(t, w.log.Damage())
		})
	}
}

// Tiles deleted while it is stopped are rebuilt at the start.
func TestTiles_DeletedBeforeTheStartAreRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(600)
	w.certified()
	w.stop()
	require.NoError(t, os.Remove(filepath.Join(w.tiles(), "tile/entries/001")))
	w.start()
	w.write(1)
	w.certified()
	require.Empty(t, w.audited().Damage)
	require.FileExists(t, filepath.Join(w.tiles(), "tile/entries/001"))
}

// A folder that cannot be rebuilt is reported, and certification resumes once it can.
func TestCertificationFailure_IsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(10)
	w.certified()
	require.NoError(t, w.log.CertificationFailure())
	require.NoError(t, os.Rename(w.tiles(), w.tiles()+".away"))
	require.NoError(t, os.WriteFile(w.tiles(), nil, 0o600)) // where a file is, no folder can be made
	w.write(1)
	require.Eventually(t, func() bool { return w.log.CertificationFailure() != nil }, 30*time.Second, time.Millisecond)
	require.NoError(t, os.Remove(w.tiles()))
	w.certified()
	require.Eventually(t, func() bool { return w.log.CertificationFailure() == nil }, 30*time.Second, time.Millisecond)
	_, err := os.Stat(filepath.Join(w.tiles(), "tile"))
	require.NotErrorIs(t, err, fs.ErrNotExist)
}
