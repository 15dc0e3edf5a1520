package export

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

func backgroundOf(t require.TestingT) context.Context {
	if tb, ok := t.(interface{ Context() context.Context }); ok {
		return tb.Context()
	}
	return context.Background()
}

func TestVerify_Export(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "export")
	l, sum := sample(t, dir)
	r := l.verify(t, dir)
	require.Empty(t, r.Findings)
	require.Equal(t, sum, r.Manifest)
	require.EqualValues(t, 282, r.Records)
	require.EqualValues(t, 4, r.Removed)
	require.EqualValues(t, 3, r.Context)
	require.EqualValues(t, 300, r.Entries)
	require.Equal(t, l.cp, r.Checkpoint)
	require.Len(t, r.Rules, 2)
	require.Equal(t, []string{"index.html"}, r.Unproved)
	text, err := os.ReadFile(filepath.Join(dir, rulesPath(r.Rules[0].SHA256)))
	require.NoError(t, err)
	require.Equal(t, "id: pack-1\n", string(text))
}

func TestVerify_ExportOfAnyRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, first, last uint64 }{
		{0, 1, 0}, {1, 1, 1}, {5, 6, 5}, {256, 1, 256}, {257, 257, 257}, {257, 1, 3}, {700, 256, 513}, {70000, 65000, 65010}, {70000, 1, 1},
	} {
		dir := t.TempDir()
		l := bigLog()
		if c.size < 70000 {
			l = logOf(t, plain(int(c.size)))
		}
		l.export(t, dir, c.first, c.last, nil)
		r := l.verify(t, dir)
		require.Empty(t, r.Findings, "%+v", c)
		require.Equal(t, c.last-c.first+1, r.Records)
		if c.last >= c.first {
			p, err := Prove(dir, l.verifier, c.last)
			require.NoError(t, err, "%+v", c)
			require.Equal(t, l.records[c.last-1].Line(), p.Record.Line())
		}
	}
}

// TestVerify_NamesTheDamage changes the sample in one way each, with the manifest made
// to fit where one who wants to deceive could, and wants it named.
func TestVerify_NamesTheDamage(t *testing.T) {
	t.Parallel()
	bundle := "tile/entries/000"
	for _, c := range []struct {
		name    string
		damage  func(t *testing.T, dir string, l *testLog)
		record  uint64
		path    string
		message string
	}{
		{"a record was changed", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return bytes.Replace(b, []byte("事件 41"), []byte("事件 49"), 1) })
		}, 42, recordsFile, "not the record that the log has certified"},
		{"a record was taken out", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return dropLine(b, 7) })
		}, 13, recordsFile, "it is missing, and no removal says so"},
		{"the last record was taken out", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return dropLine(b, 281) })
		}, 290, recordsFile, "it is missing"},
		{"a record stands twice", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte {
				lines := linesOf(b)
				return []byte(strings.Join(append(lines[:9:9], lines[8:]...), "") + "\n")
			})
		}, 14, recordsFile, "out of order, or repeated"},
		{"a record that was not asked for", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return append(append(b, l.records[298].Line()...), '\n') })
		}, 299, recordsFile, "not in the range"},
		{"a record that the log never had", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, contextFile, func(b []byte) []byte {
				return append(append(b, evidence.Record{Sequence: 301, Subject: "x"}.Line()...), '\n')
			})
		}, 301, contextFile, "not among the 300"},
		{"another removal", func(t *testing.T, dir string, l *testLog) {
			forged := removalOf(297, l.records[49])
			rewrite(t, dir, contextFile, func(b []byte) []byte { return append(append(b, forged.Line()...), '\n') })
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return dropLine(b, 41) })
		}, 50, recordsFile, "it is missing, and no removal says so"},
		{"the removal is not there", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, contextFile, func(b []byte) []byte { return dropLine(b, 1) })
		}, 10, recordsFile, "it is missing, and no removal says so"},
		{"the last line is cut", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return b[:len(b)-1] })
		}, 0, recordsFile, "its last line has no end"},
		{"an empty line", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, recordsFile, func(b []byte) []byte { return append(b, '\n') })
		}, 0, recordsFile, "line 283: not the line of a record"},
		{"a tile was changed", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, "tile/0/000", func(b []byte) []byte { b[77] ^= 1; return b })
		}, 0, "tile/0/000", "its hashes do not give the one above them"},
		{"the last tile of leaves was changed", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, "tile/0/001.p/44", func(b []byte) []byte { b[77] ^= 1; return b })
		}, 0, "tile/0/001.p/44", "its hashes do not give the one above them"},
		{"the top was changed", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, "tile/1/000.p/1", func(b []byte) []byte { b[7] ^= 1; return b })
		}, 0, "tile/1/000.p/1", "its hashes do not give the one above them"},
		{"the top and all below one hash of it were changed", func(t *testing.T, dir string, l *testLog) {
			for _, path := range []string{"tile/1/000.p/1", "tile/0/000", bundle} {
				rewrite(t, dir, path, func(b []byte) []byte { b[7] ^= 1; return b })
			}
		}, 0, "tile/1/000.p/1", "do not give the root of the checkpoint"},
		{"an entry was changed", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, bundle, func(b []byte) []byte { b[41*entryBytes+5] ^= 1; return b })
		}, 42, bundle, "the entry is not the one that the tree has"},
		{"a bundle is cut", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, bundle, func(b []byte) []byte { return b[:entryBytes] })
		}, 0, bundle, "bytes, not 8704"},
		{"a tile is missing", func(t *testing.T, dir string, l *testLog) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tile/0/000")))
			remanifest(t, dir, func(m *Manifest) { unlist(m, "tile/0/000") })
		}, 0, "tile/0/000", "file does not exist"},
		{"a file was changed", func(t *testing.T, dir string, l *testLog) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("<!DOCTYPE html>\n"), 0o600))
		}, 0, "index.html", "it was changed"},
		{"a file is missing", func(t *testing.T, dir string, l *testLog) {
			require.NoError(t, os.Remove(filepath.Join(dir, "index.html")))
		}, 0, "index.html", "it is missing: the manifest lists it"},
		{"a link", func(t *testing.T, dir string, l *testLog) {
			require.NoError(t, os.Remove(filepath.Join(dir, "index.html")))
			require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "index.html")))
		}, 0, "index.html", "it is missing"},
		{"the manifest leads out", func(t *testing.T, dir string, l *testLog) {
			remanifestRaw(t, dir, `"index.html"`, `"../index.html"`)
		}, 0, manifestFile, "not the path of a file in the folder"},
		{"the manifest is missing", func(t *testing.T, dir string, l *testLog) {
			require.NoError(t, os.Remove(filepath.Join(dir, manifestFile)))
		}, 0, manifestFile, "the export is not complete"},
		{"the manifest says another count", func(t *testing.T, dir string, l *testLog) {
			remanifest(t, dir, func(m *Manifest) { m.Records++ })
		}, 0, manifestFile, "it says 283 records and 4 removed; there are 282 and 4"},
		{"the manifest says another range", func(t *testing.T, dir string, l *testLog) {
			remanifest(t, dir, func(m *Manifest) { m.First = 4 })
		}, 4, recordsFile, "it is missing"},
		{"the manifest says another log", func(t *testing.T, dir string, l *testLog) {
			remanifest(t, dir, func(m *Manifest) { m.Origin = "log.example.com/other" })
		}, 0, manifestFile, "it covers the 300 of log.example.com/test"},
		{"the manifest names another key", func(t *testing.T, dir string, l *testLog) {
			other := freshKey()
			remanifest(t, dir, func(m *Manifest) { m.Key = other.Verifier() })
			rewrite(t, dir, keyFile, func([]byte) []byte { return []byte(other.Verifier() + "\n") })
		}, 0, manifestFile, "did not sign the checkpoint"},
		{"another key", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, keyFile, func(b []byte) []byte { return append(b, '\n') })
		}, 0, keyFile, "not the key that the manifest names"},
		{"a checkpoint that somebody else signed", func(t *testing.T, dir string, l *testLog) {
			cp, err := freshKey().Sign(l.cp.Size, l.cp.Root)
			require.NoError(t, err)
			rewrite(t, dir, checkpointFile, func([]byte) []byte { return []byte(cp.Note) })
		}, 0, checkpointFile, "not signed with the key"},
		{"other rules", func(t *testing.T, dir string, l *testLog) {
			rewrite(t, dir, rulesPath(l.rulesOf(1)), func(b []byte) []byte { return append(b, '#') })
		}, 0, "", "it is not the text of a proved record of rules"},
		{"rules that no record has", func(t *testing.T, dir string, l *testLog) {
			remanifest(t, dir, func(m *Manifest) { m.Rules[0].ID = "pack-9" })
		}, 1, manifestFile, "which no proved record has"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, _ := sample(t, dir)
			if c.path == "" {
				c.path = rulesPath(l.rulesOf(1))
			}
			c.damage(t, dir, l)
			has(t, l.verify(t, dir), c.record, c.path, c.message)
		})
	}
}

func (l *testLog) rulesOf(sequence uint64) string {
	rules, _, _ := rulesOf(l.records[sequence-1])
	return rules.SHA256
}

func dropLine(b []byte, n int) []byte {
	lines := linesOf(b)
	return []byte(strings.TrimSuffix(strings.Join(append(lines[:n:n], lines[n+1:]...), ""), "\n") + "\n")
}

func unlist(m *Manifest, path string) {
	for i, f := range m.Files {
		if f.Path == path {
			m.Files = append(m.Files[:i], m.Files[i+1:]...)
			return
		}
	}
}

func remanifestRaw(t *testing.T, dir, old, new string) {
	name := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(raw), old)
	require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(raw), old, new, 1)), 0o600))
}

// TestVerify_DamagedTileDoesNotHideTheRest has a changed tile of leaves whose
// entries are sound: the records below it are still proved, one by one.
func TestVerify_DamagedTileDoesNotHideTheRest(t *testing.T) {
	t.Parallel()
	for _, tile := range []string{"tile/0/000", "tile/0/001.p/44"} {
		dir := t.TempDir()
		l, _ := sample(t, dir)
		rewrite(t, dir, tile, func(b []byte) []byte { b[77] ^= 1; return b })
		rewrite(t, dir, recordsFile, func(b []byte) []byte { return bytes.Replace(b, []byte("事件 41"), []byte("事件 49"), 1) })
		r := l.verify(t, dir)
		require.EqualValues(t, 281, r.Records)
		has(t, r, 0, tile, "do not give the one above")
		has(t, r, 42, recordsFile, "not the record")
		require.Len(t, r.Findings, 2, "%+v", r.Findings)
	}
}

// TestVerify_UnprovedRecords has neither the tile nor the entries of some
// records: that is one finding, not one for each.
func TestVerify_UnprovedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := sample(t, dir)
	for _, path := range []string{"tile/0/000", "tile/entries/000"} {
		rewrite(t, dir, path, func(b []byte) []byte { b[77] ^= 1; return b })
	}
	r := l.verify(t, dir)
	has(t, r, 0, "tile/0/000", "records 1 to 256 cannot be checked against the checkpoint")
	require.EqualValues(t, 34, r.Records)
	require.Less(t, len(r.Findings), 20)
}

func TestVerify_FindingsAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := logOf(t, plain(5000))
	l.export(t, dir, 1, 5000, nil)
	rewrite(t, dir, recordsFile, func(b []byte) []byte { return []byte(linesOf(b)[0]) })
	r := l.verify(t, dir)
	require.Len(t, r.Findings, maxFindings)
	require.EqualValues(t, 4999+1-maxFindings, r.More) // and the count of the manifest
}

func TestVerify_UnreadableFolder(t *testing.T) {
	t.Parallel()
	l := logOf(t, plain(3))
	_, err := Verify(t.Context(), filepath.Join(t.TempDir(), "none"), l.verifier, nil, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	dir := t.TempDir()
	l.export(t, dir, 1, 3, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Verify(ended, dir, l.verifier, nil, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestVerify_ReportsProgress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := sample(t, dir)
	ended := make(chan struct{}, 1000)
	_, err := Verify(t.Context(), dir, l.verifier, func(done, of uint64) {
		if done == of {
			ended <- struct{}{}
		}
	}, nil)
	require.NoError(t, err)
	require.NotEmpty(t, ended)
}
