package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Finding is one thing that is wrong with an export.
type Finding struct {
	Record  uint64 `json:"record,omitempty"` // its sequence; 0: not of one record
	Path    string `json:"path"`             // of the file
	Message string `json:"message"`
}

// Report says what an export proves. It holds when there are no findings, and nothing
// of it is unchecked.
type Report struct {
	Checkpoint Checkpoint `json:"-"`
	Contents   Manifest   `json:"-"`
	First      uint64     `json:"first"` // of the range
	Last       uint64     `json:"last"`
	Records    uint64     `json:"records"`  // of the range that are there and proved
	Removed    uint64     `json:"removed"`  // of the range that a proved removal accounts for
	Context    uint64     `json:"context"`  // proved records besides the range
	Entries    uint64     `json:"entries"`  // of the tree that were held against the checkpoint
	Acts       Acts       `json:"acts"`     // of desks
	Removals   Acts       `json:"removals"` // by administrators
	// Rules are the packs and registers whose text is that of a proved record.
	Rules []ManifestRules `json:"rules"`
	// Manifest is its SHA-256, in hex. Since, Until, Made and what is in Unproved
	// are the exporter's word: only that hash, if it is known from elsewhere,
	// vouches for them.
	Manifest string     `json:"manifest"`
	Since    *time.Time `json:"since,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Made     time.Time  `json:"made,omitzero"`
	Unproved []string   `json:"unproved"` // files that nothing proves
	// PageCompared says that the page to read is what the records render as.
	PageCompared bool `json:"pageCompared"`
	// Extra are files and links that the manifest does not list, such as those that
	// desktops leave in folders. Nothing is read of them.
	Extra []string `json:"extra,omitempty"`
	// Damaged are files that transport has changed without changing what they say.
	Damaged  []Damaged `json:"damaged,omitempty"`
	Findings []Finding `json:"findings"`
	// Unchecked is what could not be checked: nothing says that it is wrong, and
	// nothing that it is right.
	Unchecked []Finding `json:"unchecked,omitempty"`
	// More are the findings that are not listed, for they were too many.
	More uint64 `json:"more,omitempty"`
}

// maxFindings are listed of all that there are.
const maxFindings = 1000

// Bytes that files of an export have at most.
const (
	manifestLimit   = 1 << 30
	checkpointLimit = 1 << 20
	vkeyLimit       = 1 << 16
)

// VerifyExport is VerifyExportReading without a reader.
func VerifyExport(ctx context.Context, dir string, v Verifier, progress func(done, of uint64)) (Report, error) {
	return VerifyExportReading(ctx, dir, v, progress, nil)
}

// VerifyExportReading holds a folder that Export wrote against the key of the log, and
// trusts nothing else in it: the checkpoint is opened with the key, every tile is
// held against its root, every record against its leaf. It goes on after a
// finding to find all. Done of the bytes in the folder are told to progress,
// unless it is nil, from any goroutine.
//
// The error is for a folder that cannot be read at all, and for a context that
// ends. What is wrong with what can be read is a finding. Every record that is proved
// is handed to see, unless it is nil: those beside the range, then those of the range in
// order.
func VerifyExportReading(ctx context.Context, dir string, v Verifier, progress func(done, of uint64), see func(Record)) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("evidence: export: %w", err)
	}
	defer root.Close() // only read
	c := &exportCheck{ctx: ctx, root: root, verifier: v, progress: progress, see: see}
	c.report.Rules, c.report.Unproved, c.report.Findings = []ManifestRules{}, []string{}, []Finding{}
	if c.files, err = c.inventory(); err != nil {
		return Report{}, fmt.Errorf("evidence: export: %w", err)
	}
	c.run()
	if err := context.Cause(ctx); err != nil {
		return Report{}, err
	}
	return c.finish(), nil
}

// exportCheck is one run of VerifyExport.
type exportCheck struct {
	ctx      context.Context
	root     *os.Root
	verifier Verifier
	progress func(done, of uint64)
	see      func(Record) // may be nil
	done, of atomic.Uint64
	files    map[string]int64  // regular files that are there, with their sizes
	mended   map[string][]byte // files as they were before transport damaged them
	manifest Manifest
	tree     *provedTree
	entries  atomic.Uint64

	mu     sync.Mutex
	report Report          // guarded by mu
	said   map[string]bool // guarded by mu: faults of tiles, which many records meet
}

func (c *exportCheck) find(record uint64, path, format string, args ...any) {
	c.add(&c.report.Findings, Finding{record, path, fmt.Sprintf(format, args...)})
}

// findError adds an error to the findings, or to what could not be checked.
func (c *exportCheck) findError(record uint64, path string, err error) {
	if Inconclusive(err) {
		c.add(&c.report.Unchecked, Finding{record, path, err.Error()})
		return
	}
	c.find(record, path, "%v", err)
}

func (c *exportCheck) add(to *[]Finding, f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(*to) == maxFindings {
		c.report.More++
		return
	}
	*to = append(*to, f)
}

// How what is wrong with a tile is said: of the file as it is stored, and of the
// records that nothing else proves.
const (
	ofStored  = "over records %d to %d: %v"
	ofRecords = "records %d to %d cannot be held against the checkpoint: %v"
)

// fault records what is wrong with a tile, once, however many records meet it.
func (c *exportCheck) fault(err error, how string) {
	var t *TileError
	if !errors.As(err, &t) {
		c.find(0, tileFolder, "%v", err)
		return
	}
	message := fmt.Sprintf(how, t.First, t.Last, t.Err)
	if t.First == t.Last {
		message = fmt.Sprint(t.Err)
	}
	c.mu.Lock()
	said := c.said[t.Path+message]
	if c.said == nil {
		c.said = map[string]bool{}
	}
	c.said[t.Path+message] = true
	c.mu.Unlock()
	switch {
	case said:
	case t.First == t.Last:
		c.find(t.First, t.Path, "%s", message)
	default:
		c.find(0, t.Path, "%s", message)
	}
}

// faults records what may be several errors joined.
func (c *exportCheck) faults(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.faults(e)
		}
	} else if err != nil {
		c.fault(err, ofStored)
	}
}

func (c *exportCheck) finish() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.report
	r.Entries = c.entries.Load()
	for _, found := range [][]Finding{r.Findings, r.Unchecked} {
		slices.SortStableFunc(found, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
		})
	}
	return *r
}

func (c *exportCheck) run() {
	if !c.readManifest() {
		return
	}
	cp, ok := c.openCheckpoint()
	c.hashFiles()
	if ok {
		tree, err := proveTree(c, cp)
		c.tree = tree
		c.faults(err)
	}
	if c.tree == nil {
		c.find(0, recordsFile, "no record can be checked without the checkpoint and the tree below it")
		c.hash(recordsFile)
		c.hash(contextFile)
		return
	}
	c.checkTiles()
	c.checkRecords()
}
