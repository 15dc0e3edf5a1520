package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"hash"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/private"
)

type file struct {
	export *Writer
	path   string
	file   *os.File
	buffer *bufio.Writer
	sum    hash.Hash
	size   int64
}

// create creates a file that must not exist.
func (e *Writer) create(path string) (*file, error) {
	name := filepath.Join(e.dir, filepath.FromSlash(path))
	if err := private.MakeUnchecked(filepath.Dir(name)); err != nil {
		return nil, err
	}
	f, err := private.Create(name)
	if err != nil {
		return nil, err
	}
	return &file{export: e, path: path, file: f, buffer: bufio.NewWriterSize(f, 1<<16), sum: sha256.New()}, nil
}

func (e *Writer) write(path string, content []byte) error {
	f, err := e.create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func (f *file) Write(b []byte) (int, error) {
	f.sum.Write(b)
	f.size += int64(len(b))
	n, err := f.buffer.Write(b)
	if err != nil {
		err = f.export.fail(err)
	}
	return n, err
}

// Close completes the file; it becomes durable when the export is closed.
func (f *file) Close() error {
	if err := errors.Join(f.buffer.Flush(), f.file.Close()); err != nil {
		return f.export.fail(err)
	}
	f.export.files = append(f.export.files, ManifestFile{Path: f.path, SHA256: hexOf(f.sum.Sum(nil)), Size: f.size})
	return nil
}

// maxSyncs is how many files are synced concurrently, in fewer turns of the disk.
const maxSyncs = 16

// sync makes every file of the export durable, then their folders.
func (e *Writer) sync() error {
	folders := map[string]bool{e.dir: true, filepath.Dir(filepath.Clean(e.dir)): true}
	var names []string
	for _, f := range e.files {
		name := filepath.Join(e.dir, filepath.FromSlash(f.Path))
		for dir := filepath.Dir(name); !folders[dir]; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
		names = append(names, name)
	}
	if err := syncAll(slices.Values(names)); err != nil {
		return err
	}
	return syncAll(maps.Keys(folders))
}

func syncAll(names iter.Seq[string]) error {
	var g errgroup.Group
	g.SetLimit(maxSyncs)
	for name := range names {
		g.Go(func() error { return private.SyncFolder(name) })
	}
	return g.Wait()
}

func sortManifest(m *Manifest) {
	slices.SortFunc(m.Files, func(a, b ManifestFile) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(m.Rules, func(a, b ManifestRules) int { return cmp.Compare(a.Record, b.Record) })
}
