package export

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// counted counts how often each tile is requested.
type counted struct {
	evidence.Tiles
	mu    sync.Mutex
	asked map[string]int
}

func (c *counted) Tile(path string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[path]++
	return c.Tiles.Tile(path)
}

func TestWriter_ReadsEachTileOnce(t *testing.T) {
	t.Parallel()
	l := bigLog()
	tiles := &counted{Tiles: l.tiles, asked: map[string]int{}}
	dir := t.TempDir()
	e, err := Create(dir, Manifest{Key: l.key.Verifier(), First: 300, Last: 900, Made: made}, l.cp.Note, tiles)
	require.NoError(t, err)
	for n := 300; n <= 900; n++ {
		require.NoError(t, e.Add(l.records[n-1]))
	}
	for _, n := range []int{69999, 3, 5000, 4, 3, 400} {
		require.NoError(t, e.AddContext(l.records[n-1]))
	}
	_, err = e.Close()
	require.NoError(t, err)
	for path, times := range tiles.asked {
		require.Equal(t, 1, times, path)
	}
	require.ElementsMatch(t, []string{
		"tile/2/000.p/1", "tile/1/001.p/17", "tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/000",
		"tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003", "tile/0/019",
		"tile/entries/000", "tile/entries/001", "tile/entries/002", "tile/entries/003", "tile/entries/019",
	}, tiles.paths())
	r := l.verify(t, dir)
	require.Empty(t, r.Findings)
	require.EqualValues(t, 4, r.Context) // one was added twice, one was in the range
}

func (c *counted) paths() (paths []string) {
	for path := range c.asked {
		paths = append(paths, path)
	}
	return paths
}

func TestWriter_Refusals(t *testing.T) {
	t.Parallel()
	records := plain(300)
	records[4] = removalOf(5, records[2])
	l := logOf(t, records)
	m := Manifest{Key: l.key.Verifier(), First: 1, Last: 300, Made: made}
	begin := func(t *testing.T) (*Writer, string) {
		dir := t.TempDir()
		e, err := Create(dir, m, l.cp.Note, l.tiles)
		require.NoError(t, err)
		return e, dir
	}
	t.Run("a folder that is not empty", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600))
		_, err := Create(dir, m, l.cp.Note, l.tiles)
		require.ErrorContains(t, err, "is not empty")
	})
	t.Run("what does not fit together", func(t *testing.T) {
		for want, change := range map[string]func(m *Manifest){
			"not from":      func(m *Manifest) { m.Origin = "log.example.com/other" },
			"verifier key":  func(m *Manifest) { m.Key = "x" },
			"are no range":  func(m *Manifest) { m.First = 0 },
			"is not among ": func(m *Manifest) { m.Last = 301 },
			"not signed":    func(m *Manifest) { m.Key = freshKey().Verifier() },
		} {
			changed := m
			change(&changed)
			_, err := Create(t.TempDir(), changed, l.cp.Note, l.tiles)
			require.Error(t, err, want)
		}
	})
	t.Run("a record that is not the log's, by its name", func(t *testing.T) {
		e, dir := begin(t)
		changed := l.records[1]
		changed.Body = []byte("{}")
		require.NoError(t, e.Add(l.records[0]))
		require.ErrorContains(t, e.Add(changed), "record 2 (incident.accepted.grid-east.inc-1.r1) is not what the log has certified")
		require.Error(t, e.Add(l.records[1]), "the first error stays")
		_, err := e.Close()
		require.ErrorContains(t, err, "record 2")
		require.NoFileExists(t, filepath.Join(dir, manifestFile))
		has(t, l.verify(t, dir), 0, manifestFile, "the export is not complete")
	})
	t.Run("records out of order", func(t *testing.T) {
		e, _ := begin(t)
		require.NoError(t, e.Add(l.records[1]))
		require.ErrorContains(t, e.Add(l.records[0]), "record 1 is not the next")
	})
	t.Run("a gap without a removal", func(t *testing.T) {
		e, dir := begin(t)
		for n := range l.records {
			if n != 2 && n != 6 { // 3 is removed by 5
				require.NoError(t, e.Add(l.records[n]))
			}
		}
		_, err := e.Close()
		require.ErrorContains(t, err, "record 7: missing, and no removal says so")
		require.NoFileExists(t, filepath.Join(dir, manifestFile))
	})
	t.Run("a damaged bundle, by its records", func(t *testing.T) {
		damaged := memory{}
		for path, tile := range l.tiles {
			damaged[path] = append([]byte(nil), tile...)
		}
		damaged["tile/entries/000"][9*entryBytes+2] ^= 1
		e, err := Create(t.TempDir(), m, l.cp.Note, damaged)
		require.NoError(t, err)
		var fault *evidence.TileError
		require.ErrorAs(t, e.Add(l.records[0]), &fault)
		require.EqualValues(t, 10, fault.First)
	})
	t.Run("a tile that is missing", func(t *testing.T) {
		_, err := Create(t.TempDir(), m, l.cp.Note, memory{})
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
	t.Run("files that are not its caller's", func(t *testing.T) {
		e, _ := begin(t)
		for _, path := range []string{"../x", "/x", "", ".", "a//b", `a\b`, "C:x", "a\nb", "manifest.json", "records.jsonl", "tile/x", "rules/x"} {
			require.ErrorContains(t, e.AddFile(path, nothing), "cannot be added", path)
		}
		require.NoError(t, e.AddFile("pages/a.html", nothing))
	})
	t.Run("a file that cannot be rendered", func(t *testing.T) {
		e, _ := begin(t)
		failed := errors.New("no page")
		require.ErrorIs(t, e.AddFile("pages/a.html", func(io.Writer) error { return failed }), failed)
		_, err := e.Close()
		require.ErrorIs(t, err, failed)
	})
	t.Run("anything after the end", func(t *testing.T) {
		e, _ := begin(t)
		e.Abandon()
		require.ErrorContains(t, e.Add(l.records[0]), "given up")
		require.ErrorContains(t, e.AddContext(l.records[0]), "given up")
		require.ErrorContains(t, e.AddFile("x", nothing), "given up")
		_, err := e.Close()
		require.ErrorContains(t, err, "given up")
	})
}

// TestVerify_FlippedBit flips one bit of one file.
func TestVerify_FlippedBit(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	l, sum := sample(t, source)
	var paths []string
	require.NoError(t, filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(paths).Draw(t, "file")
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		defer func() { require.NoError(t, os.WriteFile(name, content, 0o600)) }()
		require.NoError(t, os.WriteFile(name, []byte(flip(t, string(content))), 0o600))
		r, err := Verify(backgroundOf(t), source, l.verifier, nil, nil)
		require.NoError(t, err)
		if filepath.Base(name) == manifestFile && len(r.Findings) == 0 {
			// The exporter's word changed, and so did the manifest's hash.
			require.NotEqual(t, sum, r.Manifest)
			require.NotEqual(t, made, r.Made)
			return
		}
		require.NotEmpty(t, r.Findings)
	})
	require.Empty(t, l.verify(t, source).Findings)
}

// TestProve_FromAnExport proves records inside and outside the range.
func TestProve_FromAnExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := sample(t, dir)
	for _, n := range []uint64{1, 5, 100, 256, 257, 290, 295} {
		p, err := Prove(dir, l.verifier, n)
		require.NoError(t, err)
		require.Equal(t, l.prove(t, n).String(), p.String())
		_, err = checkProof(p.String(), l.verifier)
		require.NoError(t, err)
	}
	for _, n := range []uint64{0, 2, 10, 291, 300, 301} {
		_, err := Prove(dir, l.verifier, n)
		require.ErrorIs(t, err, fs.ErrNotExist, "%d", n)
	}
	rewrite(t, dir, recordsFile, func(b []byte) []byte { b[len(linesOf(b)[0])-20] ^= 1; return b })
	_, err := Prove(dir, l.verifier, 5)
	require.Error(t, err)
	require.False(t, errors.Is(err, fs.ErrNotExist))
	_, err = Prove(dir, l.verifier, 6)
	require.NoError(t, err, "another record is not touched")
}

func TestProveExtends_FromAnExport(t *testing.T) {
	t.Parallel()
	l := bigLog()
	dir := t.TempDir()
	l.export(t, dir, 60000, 60600, nil)
	for _, n := range []uint64{0, 60001, 60416, 60600, 65536, 70000} {
		c, err := ProveExtends(dir, l.verifier, l.checkpoint(t, n))
		require.NoError(t, err, "%d", n)
		require.NoError(t, c.Verify(l.verifier, l.checkpoint(t, n)))
	}
	_, err := ProveExtends(dir, l.verifier, l.checkpoint(t, 3001))
	require.ErrorIs(t, err, fs.ErrNotExist)
	old := l.checkpoint(t, 60001)
	old.Root[0] ^= 1
	_, err = ProveExtends(dir, l.verifier, old)
	require.ErrorContains(t, err, "are not the beginning")
}

func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	l, sum := sample(f, dir)
	name := filepath.Join(dir, manifestFile)
	good, err := os.ReadFile(name)
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"format":"tocsin/export@v1","first":1,"last":0}`))
	want, err := parseManifest(good)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err == nil {
			again, err := m.encode()
			require.NoError(t, err)
			require.Equal(t, raw, again)
		}
		require.NoError(t, os.WriteFile(name, raw, 0o600))
		r, err := Verify(t.Context(), dir, l.verifier, nil, nil)
		require.NoError(t, err)
		if len(r.Findings) == 0 && len(r.Unchecked) == 0 && r.Manifest != sum {
			m.Made, m.Since, m.Until = want.Made, want.Since, want.Until
			require.Equal(t, want, m, "more than the exporter's word was changed")
		}
	})
}

// TestVerify_DoesNotTrustTheManifest flips one bit of what can be proved, and adapts the
// manifest.
func TestVerify_DoesNotTrustTheManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := sample(t, dir)
	manifest, err := os.ReadFile(filepath.Join(dir, manifestFile))
	require.NoError(t, err)
	m, err := parseManifest(manifest)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom(m.Files).Filter(func(f ManifestFile) bool { return f.Path != "index.html" }).Draw(t, "file").Path
		name := filepath.Join(dir, path)
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		defer func() {
			require.NoError(t, os.WriteFile(name, content, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, manifestFile), manifest, 0o600))
		}()
		rewrite(t, dir, path, func(b []byte) []byte { return []byte(flip(t, string(b))) })
		require.NotEmpty(t, l.verify(t, dir).Findings)
	})
	require.Empty(t, l.verify(t, dir).Findings)
}

// nothing renders an empty file.
func nothing(io.Writer) error { return nil }
