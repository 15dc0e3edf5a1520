package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// ManifestFormat is the format of an export.
const (
	ManifestFormat  = manifestFormats + "1"
	manifestFormats = "tocsin/export@v"
)

// The files of an export.
const (
	manifestFile   = "manifest.json"
	checkpointFile = "checkpoint"
	keyFile        = "key"
	recordsFile    = "records.jsonl"
	contextFile    = "context.jsonl"
	tileFolder     = "tile/"
	rulesFolder    = "rules/"
)

// ownFiles are in every export, besides the manifest.
var ownFiles = []string{checkpointFile, keyFile, recordsFile, contextFile}

// Manifest describes the content of an export. It is written last, so an export without
// one is incomplete.
//
// It is not signed. Verify checks every field against what the folder proves,
// except Since, Until, Made and StoredLate, for which there is only the exporter's word,
// and the hashes of files that a caller added. To hold the exporter to these, note the
// hash of the manifest, which exporter and verifier both print, and which the record of
// an archive of the exported records contains.
type Manifest struct {
	Format     string       `json:"format"`
	Origin     string       `json:"origin"`
	Key        string       `json:"key"` // verifier key; trust in it must come from another source
	Checkpoint ManifestTree `json:"checkpoint"`
	First      uint64       `json:"first"` // sequence of the first record of the range
	Last       uint64       `json:"last"`  // First−1: the range is empty
	// Since and Until are the times that the range was requested by, if it was.
	Since   *time.Time      `json:"since,omitempty"`
	Until   *time.Time      `json:"until,omitempty"`
	Records uint64          `json:"records"` // number of records of the range in the export
	Removed uint64          `json:"removed"` // number of records of the range that were removed
	Rules   []ManifestRules `json:"rules"`
	Made    time.Time       `json:"made"`
	Page    string          `json:"page,omitempty"` // version of index.html, which is rendered from the records
	// StoredLate are the server's stamps, by record, of escalations that were stored
	// after a due time although their own stamps precede it. The page shows them; nothing
	// proves them.
	StoredLate map[uint64]time.Time `json:"storedLate,omitempty"`
	Files      []ManifestFile       `json:"files"` // all but the manifest, sorted by path
}

// ManifestTree is the tree that the checkpoint of an export covers.
type ManifestTree struct {
	Size uint64        `json:"size"`
	Root evidence.Hash `json:"root"`
}

// ManifestRules is a pack or register of an export: rules/<sha256>.yaml, which is the
// text of a record.
type ManifestRules struct {
	SHA256 string `json:"sha256"` // of the text, in hex
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Record uint64 `json:"record"` // sequence
}

// ManifestFile is a file of an export.
type ManifestFile struct {
	Path   string `json:"path"` // relative to the folder, with slashes
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// encode renders a manifest in its canonical form.
func (m Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parseManifest accepts exactly what encode writes, and checks that the fields agree.
func parseManifest(raw []byte) (Manifest, error) {
	var m Manifest
	if err := evidence.Decode(raw, &m); err != nil {
		return Manifest{}, fmt.Errorf("not a manifest: %w", evidence.MalformedJSON(raw, err))
	}
	if format, ok := strings.CutPrefix(m.Format, manifestFormats); ok && m.Format != ManifestFormat {
		return Manifest{}, fmt.Errorf("its format is version %q: %w", format, evidence.ErrNewer)
	}
	if encoded, err := m.encode(); err != nil || !bytes.Equal(encoded, raw) {
		return Manifest{}, whyNotEncoded(raw)
	}
	return m, m.check()
}

// whyNotEncoded tells a manifest with members of a newer program from one that is
// formatted differently.
func whyNotEncoded(raw []byte) error {
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(Manifest)); err != nil {
		return fmt.Errorf("not a manifest that this program knows: %w: %w", err, evidence.ErrNewer)
	}
	return fmt.Errorf("not a manifest: it is not written as manifests are (%w)", evidence.ErrMalformed)
}

func (m Manifest) check() error {
	switch {
	case m.Format != ManifestFormat:
		return fmt.Errorf("format %q is not %s", m.Format, ManifestFormat)
	case m.Checkpoint.Size >= evidence.MaxSize:
		return fmt.Errorf("%d is not the size of a tree", m.Checkpoint.Size)
	case m.First == 0 || m.Last < m.First-1:
		return fmt.Errorf("records %d to %d are no range", m.First, m.Last)
	case m.Last > m.Checkpoint.Size:
		return fmt.Errorf("record %d is not among the %d that the checkpoint covers", m.Last, m.Checkpoint.Size)
	}
	for record := range m.StoredLate {
		if record < m.First || record > m.Last {
			return fmt.Errorf("record %d was stored late, and is not in the range", record)
		}
	}
	before := ""
	for _, f := range m.Files {
		switch {
		case !isSafePath(f.Path) || f.Path == manifestFile:
			return fmt.Errorf("%q is not the path of a file in the folder", f.Path)
		case f.Path <= before:
			return fmt.Errorf("%q is out of order", f.Path)
		case f.Size < 0 || !isHex(f.SHA256):
			return fmt.Errorf("%q has no size or no SHA-256", f.Path)
		}
		before = f.Path
	}
	return nil
}

// isSafePath reports whether a path stays in its folder and is the same on every system.
func isSafePath(path string) bool {
	return fs.ValidPath(path) && path != "." && !strings.ContainsAny(path, `\:`) && !strings.ContainsFunc(path, unicode.IsControl)
}

// isHex reports whether text is a SHA-256 in lower-case hex.
func isHex(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(text) == text
}

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }

// rulesOf parses a rules record: its subject ends in the SHA-256 of the text in its body.
// ok is false for any other record.
func rulesOf(r evidence.Record) (entry ManifestRules, text string, ok bool) {
	name, ok := strings.CutPrefix(strings.TrimPrefix(r.Subject, evidence.DrillPrefix), "rules.")
	if !ok || !isHex(name) {
		return entry, "", false
	}
	var body struct {
		Kind   string `json:"kind"`
		ID     string `json:"id"`
		SHA256 string `json:"sha256"`
		Text   string `json:"text"`
	}
	if err := evidence.Decode(r.Body, &body); err != nil {
		return entry, "", false
	}
	sum := sha256.Sum256([]byte(body.Text))
	if body.SHA256 != name || hexOf(sum[:]) != name {
		return entry, "", false
	}
	return ManifestRules{SHA256: name, Kind: body.Kind, ID: body.ID, Record: r.Sequence}, body.Text, true
}

// rulesPath is the path of a pack's or register's text in an export.
func rulesPath(sha256 string) string { return rulesFolder + sha256 + ".yaml" }
