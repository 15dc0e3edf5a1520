package export

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// testLog is a complete log in memory: records, tiles, a key.
type testLog struct {
	key      *evidence.Key
	verifier evidence.Verifier
	records  []evidence.Record // all that ever were, from 1
	tiles    memory
	cp       evidence.Checkpoint
}

var testKey = sync.OnceValue(freshKey)

// freshKey makes a key in a folder of its own.
func freshKey() *evidence.Key {
	dir, err := os.MkdirTemp("", "evidence")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) // a temporary folder
	key, err := evidence.OpenKey(filepath.Join(dir, "key"), "log.example.com/test")
	if err != nil {
		panic(err)
	}
	return key
}

func logOf(t require.TestingT, records []evidence.Record) *testLog {
	entries := make([]evidence.Hash, len(records))
	for i, r := range records {
		entries[i] = r.Entry()
	}
	l := &testLog{key: testKey(), records: records, tiles: inMemory(t, entries)}
	var err error
	l.verifier, err = evidence.NewVerifier(l.key.Verifier())
	require.NoError(t, err)
	l.cp = l.checkpoint(t, uint64(len(records)))
	return l
}

func (l *testLog) checkpoint(t require.TestingT, size uint64) evidence.Checkpoint {
	root, err := evidence.Root(l.tiles, size)
	require.NoError(t, err)
	cp, err := l.key.Sign(size, root)
	require.NoError(t, err)
	return cp
}

// plain are records without a meaning.
func plain(n int) []evidence.Record {
	records := make([]evidence.Record, n)
	for i := range records {
		records[i] = evidence.Record{
			Sequence: uint64(i + 1),
			Subject:  fmt.Sprintf("incident.accepted.grid-east.inc-%d.r1", i),
			Header:   map[string][]string{"ce-time": {"2026-03-01T08:00:00.000Z"}, "ce-salt": {fmt.Sprintf("%032x", i)}},
			Body:     fmt.Appendf(nil, `{"title":"事件 %d"}`, i),
		}
	}
	return records
}

// removalOf returns the record that removes others, which are consecutive.
func removalOf(sequence uint64, gone ...evidence.Record) evidence.Record {
	entries := make([]evidence.Hash, len(gone))
	for i, r := range gone {
		entries[i] = r.Entry()
	}
	body, _ := json.Marshal(map[string]any{"first": gone[0].Sequence, "entries": entries, "why": "order"})
	return evidence.Record{Sequence: sequence, Subject: fmt.Sprintf("incident.removed.%d", gone[0].Sequence), Body: body}
}

// bigLog has three levels of tiles.
var bigLog = sync.OnceValue(func() *testLog { return logOf(orPanic{}, plain(70000)) })

// orPanic turns failed requirements into panics where no test runs.
type orPanic struct{}

func (orPanic) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (orPanic) FailNow()                          {}
func (l *testLog) prove(t require.TestingT, sequence uint64) evidence.Proof {
	path, err := evidence.ProveInclusion(l.tiles, l.cp.Size, sequence-1)
	require.NoError(t, err)
	return evidence.Proof{Record: l.records[sequence-1], Path: path, Checkpoint: l.cp.Note}
}

// flip changes one bit of a text.
func flip(t *rapid.T, text string) string {
	changed := []byte(text)
	bit := rapid.IntRange(0, 8*len(text)-1).Draw(t, "bit")
	changed[bit/8] ^= 1 << (bit % 8)
	return string(changed)
}

func checkProof(text string, v evidence.Verifier) (evidence.Proof, error) {
	p, err := evidence.ParseProof(text)
	if err == nil {
		_, err = p.Verify(v)
	}
	return p, err
}

// memory is Tiles without a disk.
type memory map[string][]byte

// inMemory returns the tiles of a log.
func inMemory(t require.TestingT, entries []evidence.Hash) memory {
	dir, err := os.MkdirTemp("", "evidence")
	require.NoError(t, err)
	defer os.RemoveAll(dir) // a temporary folder
	tree, err := evidence.OpenTree(dir, 0)
	require.NoError(t, err)
	require.NoError(t, tree.Append(entries...))
	require.NoError(t, tree.Write())
	m := memory{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		m[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	}))
	return m
}

func (m memory) Tile(path string) ([]byte, error) {
	if data, ok := m[path]; ok {
		return data, nil
	}
	p, err := evidence.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	for width := p.Width + 1; width <= evidence.TileWidth; width++ {
		if data, ok := m[evidence.TilePath{Level: p.Level, Index: p.Index, Width: width}.String()]; ok {
			return data[:min(len(data), len(data)*p.Width/width)], nil
		}
	}
	return nil, fs.ErrNotExist
}

// entryBytes is the length of an entry in a bundle.
const entryBytes = evidence.MaxTileBytes / evidence.TileWidth
