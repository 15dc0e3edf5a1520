package export

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

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Finding is one fault of an export.
type Finding struct {
	Record  uint64 `json:"record,omitempty"` // sequence; 0: not about one record
	Path    string `json:"path"`             // of the file
	Message string `json:"message"`
}

// Report is what an export proves. The export holds when there are no findings, and
// nothing of it is unchecked.
type Report struct {
	Checkpoint evidence.Checkpoint `json:"-"`
	Contents   Manifest            `json:"-"`
	First      uint64              `json:"first"` // of the range
	Last       uint64              `json:"last"`
	Records    uint64              `json:"records"`  // proved records of the range
	Removed    uint64              `json:"removed"`  // records of the range that a proved removal accounts for
	Context    uint64              `json:"context"`  // proved records outside the range
	Entries    uint64              `json:"entries"`  // entries of the tree that were checked against the checkpoint
	Acts       evidence.Acts       `json:"acts"`     // of desks
	Removals   evidence.Acts       `json:"removals"` // by administrators
	// Rules are the packs and registers whose text is that of a proved record.
	Rules []ManifestRules `json:"rules"`
	// Manifest is the manifest's SHA-256, in hex. For Since, Until, Made and Unproved
	// there is only the exporter's word, unless that hash is known from another source.
	Manifest string     `json:"manifest"`
	Since    *time.Time `json:"since,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Made     time.Time  `json:"made,omitzero"`
	Unproved []string   `json:"unproved"` // files that nothing proves
	// PageCompared is true when the page equals the one rendered from the records.
	PageCompared bool `json:"pageCompared"`
	// Extra are files and links that the manifest does not list, such as those that
	// desktops leave in folders. They are not read.
	Extra []string `json:"extra,omitempty"`
	// Damaged are files that transport has changed without altering their content.
	Damaged  []Damaged `json:"damaged,omitempty"`
	Findings []Finding `json:"findings"`
	// Unchecked is what could not be checked: it is neither confirmed nor refuted.
	Unchecked []Finding `json:"unchecked,omitempty"`
	// More is the number of findings beyond those listed.
	More uint64 `json:"more,omitempty"`
}

// maxFindings is how many findings are listed.
const maxFindings = 1000

// Maximum sizes of files of an export, in bytes.
const (
	manifestLimit   = 1 << 30
	checkpointLimit = 1 << 20
	vkeyLimit       = 1 << 16
)

// Verify verifies a folder written by Writer with the key of the log, and
// trusts nothing else in it: it opens the checkpoint with the key, and checks every tile
// against its root and every record against its leaf. It continues after a finding to
// find all. progress, unless nil, is called from any goroutine with the number of bytes
// done in the folder.
//
// The error is for a folder that cannot be read at all, and for a context that ends.
// Faults of readable files are findings. Every proved record is passed to visit,
// unless it is nil: those outside the range, then those of the range in order.
func Verify(ctx context.Context, dir string, v evidence.Verifier, progress func(done, of uint64), visit func(evidence.Record)) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("evidence: export: %w", err)
	}
	defer root.Close() // only read
	c := &check{ctx: ctx, root: root, verifier: v, progress: progress, visit: visit}
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

type check struct {
	ctx          context.Context
	root         *os.Root
	verifier     evidence.Verifier
	progress     func(done, of uint64)
	visit        func(evidence.Record) // may be nil
	done, total  atomic.Uint64
	files        map[string]int64  // existing regular files, with their sizes
	restoredText map[string][]byte // files with the damage of transport reverted
	manifest     Manifest
	tree         *evidence.ProvedTree
	entries      atomic.Uint64

	mu       sync.Mutex
	report   Report          // guarded by mu
	reported map[string]bool // guarded by mu: faults of tiles already reported, which many records share
}

func (c *check) addFinding(record uint64, path, format string, args ...any) {
	c.append(&c.report.Findings, Finding{record, path, fmt.Sprintf(format, args...)})
}

// addError adds an error to the findings, or to what could not be checked.
func (c *check) addError(record uint64, path string, err error) {
	if evidence.Inconclusive(err) {
		c.append(&c.report.Unchecked, Finding{record, path, err.Error()})
		return
	}
	c.addFinding(record, path, "%v", err)
}

func (c *check) append(to *[]Finding, f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(*to) == maxFindings {
		c.report.More++
		return
	}
	*to = append(*to, f)
}

// The wordings for a fault of a tile: of the stored file, and of the records that nothing
// else proves.
const (
	storedFaultFormat = "over records %d to %d: %v"
	recordFaultFormat = "records %d to %d cannot be checked against the checkpoint: %v"
)

// addTileFault adds the fault of a tile once, however many records it affects.
func (c *check) addTileFault(err error, how string) {
	var t *evidence.TileError
	if !errors.As(err, &t) {
		c.addFinding(0, tileFolder, "%v", err)
		return
	}
	message := fmt.Sprintf(how, t.First, t.Last, t.Err)
	if t.First == t.Last {
		message = fmt.Sprint(t.Err)
	}
	c.mu.Lock()
	reported := c.reported[t.Path+message]
	if c.reported == nil {
		c.reported = map[string]bool{}
	}
	c.reported[t.Path+message] = true
	c.mu.Unlock()
	switch {
	case reported:
	case t.First == t.Last:
		c.addFinding(t.First, t.Path, "%s", message)
	default:
		c.addFinding(0, t.Path, "%s", message)
	}
}

// addFaults adds an error that may join several.
func (c *check) addFaults(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.addFaults(e)
		}
	} else if err != nil {
		c.addTileFault(err, storedFaultFormat)
	}
}

func (c *check) finish() Report {
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

func (c *check) run() {
	if !c.readManifest() {
		return
	}
	cp, ok := c.openCheckpoint()
	c.hashFiles()
	if ok {
		tree, err := evidence.ProveTree(c, cp)
		c.tree = tree
		c.addFaults(err)
	}
	if c.tree == nil {
		c.addFinding(0, recordsFile, "no record can be checked without the checkpoint and the tree below it")
		c.hash(recordsFile)
		c.hash(contextFile)
		return
	}
	c.checkTiles()
	c.checkRecords()
}
