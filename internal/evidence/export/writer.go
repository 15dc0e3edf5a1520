package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/private"
)

// Writer writes a folder of evidence: records with the tiles that prove them under one
// checkpoint. It is for one goroutine. It keeps in memory only the names and hashes of
// its files, a few bytes for each record.
//
// The first error is final: after it no manifest is written, and a verifier reports that
// the export is incomplete.
type Writer struct {
	dir          string
	manifest     Manifest
	tree         *evidence.ProvedTree
	records      *file
	context      *file
	files        []ManifestFile // complete ones
	next         uint64         // the first record of the range not yet added
	bundles      uint64         // the first bundle of the range not yet checked
	gaps         spans          // of the range
	removed      spans          // of the range, by removals
	contextAdded map[uint64]bool
	err          error
}

// Create begins an export of the records First to Last of a log in a folder, which
// is created if necessary and must be empty. The manifest provides what is known at the
// start: Key, First, Last, Since, Until, Made, and Origin if it must match the
// checkpoint's. StoredLate may be filled until Close. The checkpoint must be signed with
// the key; tiles are those of the log, and each is read once.
func Create(dir string, m Manifest, checkpoint string, tiles evidence.Tiles) (*Writer, error) {
	v, err := evidence.NewVerifier(m.Key)
	if err != nil {
		return nil, err
	}
	cp, err := v.Open(checkpoint)
	if err != nil {
		return nil, err
	}
	if m.Origin != "" && m.Origin != cp.Origin {
		return nil, fmt.Errorf("evidence: export: the checkpoint is of the log %q, not of %q", cp.Origin, m.Origin)
	}
	m.Key = strings.TrimSpace(m.Key)
	m.Format, m.Origin, m.Checkpoint = ManifestFormat, cp.Origin, ManifestTree{Size: cp.Size, Root: cp.Root}
	m.Records, m.Removed, m.Rules, m.Files = 0, 0, []ManifestRules{}, nil
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("evidence: export: %w", err)
	}
	if err := emptyFolder(dir); err != nil {
		return nil, err
	}
	e := &Writer{dir: dir, manifest: m, next: m.First, bundles: (m.First - 1) / evidence.TileWidth, contextAdded: map[uint64]bool{}}
	return e, e.begin(cp, tiles)
}

func emptyFolder(dir string) error {
	if err := private.MakeFolder(dir); err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	switch entries, err := os.ReadDir(dir); {
	case err != nil:
		return fmt.Errorf("evidence: export: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("evidence: export: the folder %s is not empty", dir)
	}
	return nil
}

func (e *Writer) begin(cp evidence.Checkpoint, tiles evidence.Tiles) (err error) {
	defer func() {
		if err != nil {
			e.Abandon()
		}
	}()
	if e.tree, err = evidence.ProveTree(copyingTiles{e, tiles}, cp); err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	if err := e.write(checkpointFile, []byte(cp.Note)); err != nil {
		return err
	}
	if err := e.write(keyFile, []byte(e.manifest.Key+"\n")); err != nil {
		return err
	}
	if e.records, err = e.create(recordsFile); err != nil {
		return err
	}
	e.context, err = e.create(contextFile)
	return err
}

// copyingTiles reads tiles from the folder of an export, to which it copies every tile on
// its first use.
type copyingTiles struct {
	export *Writer
	from   evidence.Tiles
}

func (k copyingTiles) Tile(path string) ([]byte, error) {
	tile, err := os.ReadFile(filepath.Join(k.export.dir, filepath.FromSlash(path)))
	if err == nil {
		return tile, nil
	}
	if tile, err = k.from.Tile(path); err != nil {
		return nil, err
	}
	return tile, k.export.write(path, tile)
}

// Add adds the next record of the range. It must match the tree: the error names the
// record that does not.
func (e *Writer) Add(r evidence.Record) error {
	if e.err != nil {
		return e.err
	}
	if r.Sequence < e.next || r.Sequence > e.manifest.Last {
		return e.fail(fmt.Errorf("record %d is not the next of the range: want %d to %d", r.Sequence, e.next, e.manifest.Last))
	}
	if err := e.checkEntriesTo(r.Sequence); err != nil {
		return e.fail(err)
	}
	if err := e.add(e.records, r); err != nil {
		return e.fail(err)
	}
	if r.Sequence > e.next {
		e.gaps.add(span{e.next, r.Sequence - 1})
	}
	e.next = r.Sequence + 1
	e.manifest.Records++
	return nil
}

// AddContext adds a record that is needed to read the range: the removal of a record, or
// the rules of a decision. A record inside the range, or one already added, is ignored.
func (e *Writer) AddContext(r evidence.Record) error {
	if e.err != nil {
		return e.err
	}
	if e.manifest.First <= r.Sequence && r.Sequence <= e.manifest.Last || e.contextAdded[r.Sequence] {
		return nil
	}
	if 0 < r.Sequence && r.Sequence <= e.tree.Size() {
		if err := errors.Join(e.tree.CheckAround(r.Sequence)...); err != nil {
			return e.fail(err)
		}
	}
	if err := e.add(e.context, r); err != nil {
		return e.fail(err)
	}
	e.contextAdded[r.Sequence] = true
	return nil
}

// checkEntriesTo checks the entries of the range up to a record.
func (e *Writer) checkEntriesTo(sequence uint64) error {
	for ; e.bundles <= (sequence-1)/evidence.TileWidth; e.bundles++ {
		if err := errors.Join(e.tree.CheckAround(e.bundles*evidence.TileWidth + 1)...); err != nil {
			return err
		}
	}
	return nil
}

// add writes a record that matches the tree.
func (e *Writer) add(to *file, r evidence.Record) error {
	leaf, err := e.tree.Leaf(r.Sequence)
	if err != nil {
		return err
	}
	if entry := r.Entry(); evidence.LeafHash(entry) != leaf {
		return fmt.Errorf("record %d (%s) is not what the log has certified: its entry is %s", r.Sequence, r.Subject, entry)
	}
	removed, faults := removedBy(e.tree, r, e.manifest.First, e.manifest.Last)
	if len(faults) > 0 {
		return fmt.Errorf("record %d (%s): %w", r.Sequence, r.Subject, errors.Join(faults...))
	}
	for _, run := range removed {
		e.removed.add(run)
	}
	if rules, text, ok := rulesOf(r); ok {
		if err := e.write(rulesPath(rules.SHA256), []byte(text)); err != nil {
			return err
		}
		e.manifest.Rules = append(e.manifest.Rules, rules)
	}
	_, err = to.Write(append(r.Line(), '\n'))
	return err
}

func (e *Writer) fail(err error) error {
	if e.err == nil {
		e.err = fmt.Errorf("evidence: export: %w", err)
	}
	return e.err
}

// AddFile adds another file to the folder, by its path with slashes, with what render
// writes. Nothing proves its content; the manifest has its hash.
func (e *Writer) AddFile(path string, render func(io.Writer) error) error {
	if e.err != nil {
		return e.err
	}
	if !isSafePath(path) || path == manifestFile || slices.Contains(ownFiles, path) || strings.HasPrefix(path, tileFolder) || strings.HasPrefix(path, rulesFolder) {
		return fmt.Errorf("evidence: export: %q cannot be added to an export", path)
	}
	f, err := e.create(path)
	if err == nil {
		err = errors.Join(render(f), f.Close())
	}
	if err != nil {
		return e.fail(err)
	}
	return nil
}

// Close makes the export durable, and writes the manifest after everything else. Records
// of the range that were not added must be covered by removals that were. It returns the
// SHA-256 of the manifest, in hex.
func (e *Writer) Close() (string, error) {
	defer e.Abandon()
	if err := e.finish(); err != nil {
		return "", e.fail(err)
	}
	sortManifest(&e.manifest)
	raw, err := e.manifest.encode()
	if err != nil {
		return "", e.fail(err)
	}
	if err := evidence.WriteFile(filepath.Join(e.dir, manifestFile), raw); err != nil {
		return "", e.fail(err)
	}
	e.err = errors.New("evidence: export: it is closed")
	sum := sha256.Sum256(raw)
	return hexOf(sum[:]), nil
}

func (e *Writer) finish() error {
	if e.err != nil {
		return e.err
	}
	if last := e.manifest.Last; last >= e.manifest.First {
		if err := e.checkEntriesTo(last); err != nil {
			return err
		}
		if e.next <= last {
			e.gaps.add(span{e.next, last})
		}
	}
	if left := e.gaps.without(e.removed); len(left) > 0 {
		return fmt.Errorf("%s: missing, and no removal says so", left[0])
	}
	e.manifest.Removed = e.gaps.count()
	if err := errors.Join(e.records.Close(), e.context.Close()); err != nil {
		return err
	}
	e.manifest.Files = e.files
	return e.sync()
}

// Abandon gives up an export that will not be closed: its files stay, without a manifest.
// After Close it does nothing.
func (e *Writer) Abandon() {
	if e.err == nil {
		e.err = errors.New("evidence: export: it was given up")
	}
	for _, f := range []*file{e.records, e.context} {
		if f != nil {
			_ = f.file.Close() // closed already, or no longer needed
		}
	}
}
