package export

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// rulesRecord returns a pack as a record.
func rulesRecord(sequence uint64, text string) evidence.Record {
	sum := sha256.Sum256([]byte(text))
	name := hexOf(sum[:])
	body, _ := json.Marshal(map[string]string{"kind": "statute", "id": "pack-1", "sha256": name, "text": text})
	return evidence.Record{Sequence: sequence, Subject: "rules." + name, Body: body}
}

var made = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// export writes the records of a range without those removed, with others as context, and
// returns the hash of the manifest.
func (l *testLog) export(t require.TestingT, dir string, first, last uint64, gone []uint64, context ...uint64) string {
	e, err := Create(dir, Manifest{Key: l.key.Verifier(), First: first, Last: last, Made: made}, l.cp.Note, l.tiles)
	require.NoError(t, err)
	for n := first; n <= last; n++ {
		if !slices.Contains(gone, n) {
			require.NoError(t, e.Add(l.records[n-1]))
		}
	}
	for _, n := range context {
		require.NoError(t, e.AddContext(l.records[n-1]))
	}
	require.NoError(t, e.AddFile("index.html", func(w io.Writer) error {
		_, err := io.WriteString(w, "<!doctype html>\n")
		return err
	}))
	sum, err := e.Close()
	require.NoError(t, err)
	return sum
}

func (l *testLog) verify(t require.TestingT, dir string) Report {
	r, err := Verify(backgroundOf(t), dir, l.verifier, nil, nil)
	require.NoError(t, err)
	return r
}

// sample is a log with a rules record (1), removals (295 of 10, and 296 of 20 to
// 22), and its export of 5 to 290.
func sample(t require.TestingT, dir string) (*testLog, string) {
	records := plain(300)
	records[0] = rulesRecord(1, "id: pack-1\n")
	records[99] = rulesRecord(100, "id: pack-2\n")
	records[294] = removalOf(295, records[9])
	records[295] = removalOf(296, records[19:22]...)
	l := logOf(t, records)
	return l, l.export(t, dir, 5, 290, []uint64{10, 20, 21, 22}, 1, 295, 296)
}

// rewrite changes a file of an export, and the manifest with it, as a forger would.
func rewrite(t require.TestingT, dir, path string, change func([]byte) []byte) {
	name := filepath.Join(dir, filepath.FromSlash(path))
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	content = change(slices.Clone(content))
	require.NoError(t, os.WriteFile(name, content, 0o600))
	remanifest(t, dir, func(m *Manifest) {
		for i := range m.Files {
			if m.Files[i].Path == path {
				sum := sha256.Sum256(content)
				m.Files[i].SHA256, m.Files[i].Size = hexOf(sum[:]), int64(len(content))
			}
		}
	})
}

func remanifest(t require.TestingT, dir string, change func(*Manifest)) {
	name := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	m, err := parseManifest(raw)
	require.NoError(t, err)
	change(&m)
	raw, err = m.encode()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, raw, 0o600))
}

func linesOf(content []byte) []string {
	return strings.SplitAfter(strings.TrimSuffix(string(content), "\n"), "\n")
}

// has requires a finding for a record in a file.
func has(t *testing.T, r Report, record uint64, path, message string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Record == record && f.Path == path && strings.Contains(f.Message, message) {
			return
		}
	}
	t.Fatalf("no finding of record %d in %s with %q; there are: %+v", record, path, message, r.Findings)
}
