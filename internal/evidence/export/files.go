package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// inventory lists the files in the folder. Only regular files are ever opened: a link
// could lead out of it, a pipe would never end.
func (c *check) inventory() (map[string]int64, error) {
	files := map[string]int64{}
	err := fs.WalkDir(c.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			c.report.Extra = append(c.report.Extra, path)
			return nil
		}
		files[path] = info.Size()
		return nil
	})
	return files, err
}

// readManifest reads the manifest and compares it with the existing files.
func (c *check) readManifest() bool {
	raw, err := c.readSmall(manifestFile, manifestLimit)
	if errors.Is(err, fs.ErrNotExist) {
		c.addFinding(0, manifestFile, "it is missing: the export is not complete")
		return false
	}
	if err == nil {
		if c.manifest, err = parseManifest(raw); err != nil {
			if text, damage := Restore(raw); len(damage) > 0 {
				if c.manifest, err = parseManifest(text); err == nil {
					raw = text
					c.addRestored(manifestFile, text, damage)
				}
			}
		}
	}
	if err != nil {
		c.addError(0, manifestFile, err)
		return false
	}
	sum, m := sha256.Sum256(raw), c.manifest
	c.report.Manifest, c.report.First, c.report.Last = hexOf(sum[:]), m.First, m.Last
	c.report.Contents = m
	c.report.Since, c.report.Until, c.report.Made = m.Since, m.Until, m.Made
	c.compareFiles()
	return true
}

func (c *check) compareFiles() {
	listed := make(map[string]bool, len(c.manifest.Files))
	for _, f := range c.manifest.Files {
		listed[f.Path] = true
		switch size, ok := c.files[f.Path]; {
		case !ok:
			c.addFinding(0, f.Path, "it is missing: the manifest lists it")
		case size == f.Size && c.endsInCR(f):
			_ = c.restore(f) // if nothing else happened to it; its hash is checked below
		case size != f.Size && !c.restore(f):
			c.addFinding(0, f.Path, "it has %d bytes; the manifest says %d", size, f.Size)
		}
		c.total.Add(uint64(f.Size))
	}
	for path := range c.files {
		if !listed[path] && path != manifestFile {
			c.report.Extra = append(c.report.Extra, path)
			delete(c.files, path) // nothing is read from it
		}
	}
	slices.Sort(c.report.Extra)
	for _, path := range ownFiles {
		if !listed[path] {
			c.addFinding(0, path, "every export has it, and the manifest does not list it")
		}
	}
}

// openCheckpoint opens the checkpoint with the given key, and checks the manifest's data
// on the log against it.
func (c *check) openCheckpoint() (evidence.Checkpoint, bool) {
	m := c.manifest
	if key, err := c.readSmall(keyFile, vkeyLimit); err != nil {
		c.addFinding(0, keyFile, "%v", err)
	} else if string(key) != m.Key+"\n" {
		c.addFinding(0, keyFile, "it is not the key that the manifest names")
	}
	note, err := c.readSmall(checkpointFile, checkpointLimit)
	if err != nil {
		c.addFinding(0, checkpointFile, "%v", err)
		return evidence.Checkpoint{}, false
	}
	cp, err := c.verifier.Open(string(note))
	if err != nil {
		c.addError(0, checkpointFile, err)
		return evidence.Checkpoint{}, false
	}
	c.report.Checkpoint = cp
	switch own, err := evidence.NewVerifier(m.Key); {
	case err != nil:
		c.addFinding(0, manifestFile, "%v", err)
	default:
		if _, err := own.Open(string(note)); err != nil {
			c.addFinding(0, manifestFile, "the key that it names did not sign the checkpoint")
		}
	}
	if m.Origin != cp.Origin || m.Checkpoint.Size != cp.Size || m.Checkpoint.Root != cp.Root {
		c.addFinding(0, manifestFile, "it says that the checkpoint covers the %d records of %s with the root %s; it covers the %d of %s with %s",
			m.Checkpoint.Size, m.Origin, m.Checkpoint.Root, cp.Size, cp.Origin, cp.Root)
	}
	if m.Last > cp.Size {
		return cp, false
	}
	return cp, true
}

func (c *check) openStored(path string) (*os.File, error) {
	if _, ok := c.files[path]; !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return c.root.Open(path)
}

func (c *check) readSmall(path string, limit int64) ([]byte, error) {
	f, err := c.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return content, err
}

// Tile reads a tile of the export as stored.
func (c *check) Tile(path string) ([]byte, error) {
	tile, err := c.readSmall(path, int64(evidence.MaxTileBytes))
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return tile, err
}

func (c *check) addProgress(n int) {
	done := c.done.Add(uint64(n))
	if c.progress != nil {
		c.progress(min(done, c.total.Load()), c.total.Load())
	}
}

// hashFiles checks every file against the manifest, except for the records, which are
// hashed as they are read.
func (c *check) hashFiles() {
	g := c.group()
	for _, f := range c.manifest.Files {
		if c.ctx.Err() != nil {
			break
		}
		if f.Path != recordsFile && f.Path != contextFile {
			g.Go(func() error { c.hash(f.Path); return nil })
		}
	}
	_ = g.Wait() // faults are findings
}

func (c *check) hash(path string) {
	f, err := c.open(path)
	if err != nil {
		return // reported when the manifest was compared
	}
	defer f.Close() // only read
	sum := sha256.New()
	buffer := make([]byte, 1<<16)
	for c.ctx.Err() == nil {
		n, err := f.Read(buffer)
		sum.Write(buffer[:n])
		c.addProgress(n)
		if err == io.EOF {
			c.compareHash(path, sum.Sum(nil))
			return
		}
		if err != nil {
			c.addFinding(0, path, "%v", err)
			return
		}
	}
}

func (c *check) compareHash(path string, sum []byte) {
	i, ok := slices.BinarySearchFunc(c.manifest.Files, path, func(f ManifestFile, path string) int { return strings.Compare(f.Path, path) })
	if ok && c.manifest.Files[i].SHA256 != hexOf(sum) {
		c.addFinding(0, path, "it was changed: its SHA-256 is %s; the manifest says %s", hexOf(sum), c.manifest.Files[i].SHA256)
	}
}
