// Package interop checks that a third party's tile client and log checker
// (transparency-dev) read what the evidence package writes. It is a module of its own, so
// that the product does not depend on them, and has tests only.
package interop

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// sizes are those of logs whose tiles are just full, or just not.
var sizes = []uint64{1, 2, 255, 256, 257, 1000, 65_536, 70_000}

// written is a log that a Tree has written.
type written struct {
	dir      string
	key      *evidence.Key
	verifier note.Verifier
	tree     *evidence.Tree
	entries  []evidence.Hash
	cp       evidence.Checkpoint // the last one
}

func newLog(t *testing.T, size uint64) *written {
	l := &written{dir: t.TempDir()}
	var err error
	l.key, err = evidence.OpenKey(filepath.Join(t.TempDir(), "key"), "log.example.com/ledger")
	require.NoError(t, err)
	l.verifier, err = note.NewVerifier(l.key.Verifier())
	require.NoError(t, err)
	l.tree, err = evidence.OpenTree(l.dir, 0)
	require.NoError(t, err)
	l.grow(t, size)
	return l
}

// grow appends entries, and certifies them.
func (l *written) grow(t *testing.T, size uint64) {
	for n := uint64(len(l.entries)); n < size; n++ {
		l.entries = append(l.entries, sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)))
	}
	require.NoError(t, l.tree.Append(l.entries[l.tree.Size():]...))
	require.NoError(t, l.tree.Write())
	var err error
	l.cp, err = l.key.Sign(l.tree.Size(), l.tree.Root())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "checkpoint"), []byte(l.cp.Note), 0o600))
}

// readers are the ways in which others read the log.
func (l *written) readers(t *testing.T) map[string]fsck.Fetcher {
	server := httptest.NewServer(http.FileServer(http.Dir(l.dir)))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL + "/")
	require.NoError(t, err)
	overHTTP, err := client.NewHTTPFetcher(address, server.Client())
	require.NoError(t, err)
	return map[string]fsck.Fetcher{"folder": client.FileFetcher{Root: l.dir}, "HTTP": overHTTP}
}

// leaves are the hashes of the leaves of a bundle.
func leaves(raw []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(raw); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(bundle.Entries))
	for i, entry := range bundle.Entries {
		if len(entry) != sha256.Size {
			return nil, fmt.Errorf("entry %d has %d bytes", i, len(entry))
		}
		hashes[i] = rfc6962.DefaultHasher.HashLeaf(entry)
	}
	return hashes, nil
}

func asBytes(path []evidence.Hash) [][]byte {
	out := make([][]byte, len(path))
	for i := range path {
		out[i] = path[i][:]
	}
	return out
}
