package export

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

const (
	chunkSize    = 1 << 20   // bytes of lines that one goroutine checks at a time
	maxLineBytes = 256 << 20 // bytes of a line at most
)

// checkRecords checks every record of both files against the tree, and missing ones
// against the removals.
func (c *check) checkRecords() {
	var all recordSummary
	c.context(&all)
	gaps, ok := c.inRange(&all)
	if !ok {
		return
	}
	for _, run := range gaps.without(all.removed) {
		for n := run.first; ; n++ {
			c.addFinding(n, recordsFile, "it is missing, and no removal says so")
			if n == run.last {
				break
			}
			if n-run.first > 2*maxFindings { // enough are listed; the others are counted
				c.addMore(run.last - n)
				break
			}
		}
	}
	c.report.Removed = gaps.count() - gaps.without(all.removed).count()
	if m := c.manifest; m.Records != all.lines || m.Removed != c.report.Removed {
		c.addFinding(0, manifestFile, "it says %d records and %d removed; there are %d and %d", m.Records, m.Removed, all.lines, c.report.Removed)
	}
	c.checkRules(all.rules)
	c.report.Acts, c.report.Removals = all.acts, all.removals
}

func (c *check) addMore(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.More += n
}

type recordSummary struct {
	removed        spans
	rules          []ManifestRules
	acts, removals evidence.Acts
	lines          uint64 // of records.jsonl, proved or not
}

// inRange checks records.jsonl, and returns what is missing from the range.
func (c *check) inRange(all *recordSummary) (gaps spans, ok bool) {
	first, last := c.manifest.First, c.manifest.Last
	next := first
	ok = c.lines(recordsFile, func(r checkedLine) {
		all.lines++
		switch {
		case r.fault != "":
			c.addFinding(r.sequence, recordsFile, "line %d: %s", all.lines, r.fault)
			if r.sequence == next { // it is in its place, although wrong
				next++
			}
		case r.sequence < first || r.sequence > last:
			c.addFinding(r.sequence, recordsFile, "line %d: it is not in the range of the export, %d to %d", all.lines, first, last)
		case r.sequence < next:
			c.addFinding(r.sequence, recordsFile, "line %d: it is out of order, or repeated", all.lines)
		default:
			if r.sequence > next {
				gaps.add(span{next, r.sequence - 1})
			}
			next = r.sequence + 1
			if !r.unproved {
				c.report.Records++
				c.visitRecord(r)
				all.add(r)
			}
		}
	})
	if next <= last {
		gaps.add(span{next, last})
	}
	return gaps, ok
}

// context checks context.jsonl.
func (c *check) context(all *recordSummary) {
	seen, n := map[uint64]bool{}, 0
	c.lines(contextFile, func(r checkedLine) {
		n++
		switch {
		case r.fault != "":
			c.addFinding(r.sequence, contextFile, "line %d: %s", n, r.fault)
		case c.manifest.First <= r.sequence && r.sequence <= c.manifest.Last:
			c.addFinding(r.sequence, contextFile, "line %d: it is in the range, and belongs in %s", n, recordsFile)
		case seen[r.sequence]:
			c.addFinding(r.sequence, contextFile, "line %d: it is repeated", n)
		default:
			seen[r.sequence] = true
			if !r.unproved {
				c.report.Context++
				c.visitRecord(r)
				all.add(r)
			}
		}
	})
}

func (c *check) visitRecord(r checkedLine) {
	if c.visit != nil {
		c.visit(r.record)
	}
}

func (s *recordSummary) add(r checkedLine) {
	for _, run := range r.removed {
		s.removed.add(run)
	}
	if r.isRules {
		s.rules = append(s.rules, r.rules)
	}
	switch {
	case r.act == nil:
	case r.act.Desk == "":
		s.removals.Add(r.act)
	default:
		s.acts.Add(r.act)
	}
}

// checkRules checks the texts of packs and registers against their records, both ways.
func (c *check) checkRules(proved []ManifestRules) {
	slices.SortFunc(proved, func(a, b ManifestRules) int { return cmp.Compare(a.Record, b.Record) })
	named := map[ManifestRules]bool{}
	for _, r := range c.manifest.Rules {
		if named[r] || !slices.Contains(proved, r) {
			c.addFinding(r.Record, manifestFile, "it names rules %s (%s %s), which no proved record has, or names them twice", r.SHA256, r.Kind, r.ID)
		}
		named[r] = true
	}
	texts := map[string]string{} // path → SHA-256
	for _, r := range proved {
		path := rulesPath(r.SHA256)
		texts[path] = r.SHA256
		if !named[r] {
			c.addFinding(r.Record, manifestFile, "it does not name the rules %s of the record", r.SHA256)
		}
		if _, ok := c.files[path]; !ok {
			c.addFinding(r.Record, path, "the text of the record is missing")
		}
	}
	c.report.Rules = append(c.report.Rules, proved...)
	for _, f := range c.manifest.Files {
		switch {
		case strings.HasPrefix(f.Path, rulesFolder):
			if texts[f.Path] != f.SHA256 {
				c.addFinding(0, f.Path, "it is not the text of a proved record of rules")
			}
		case !strings.HasPrefix(f.Path, tileFolder) && !slices.Contains(ownFiles, f.Path):
			c.report.Unproved = append(c.report.Unproved, f.Path)
		}
	}
}

type checkedLine struct {
	sequence uint64          // 0 where it could not be read
	record   evidence.Record // set where the caller wants to see it
	fault    string
	unproved bool // because of a tile, which has a finding of its own
	removed  spans
	isRules  bool
	rules    ManifestRules
	act      *evidence.Act // of a desk; nil: none
}

// lines checks the lines of a file on every core, passes on the result of each in order,
// and checks the file against the manifest.
func (c *check) lines(path string, each func(checkedLine)) bool {
	f, err := c.open(path)
	if err != nil {
		return false // reported when the manifest was compared
	}
	defer f.Close() // only read
	order := make(chan chan []checkedLine, 2*runtime.GOMAXPROCS(0))
	go func() {
		defer close(order)
		g := c.group()
		sum := sha256.New()
		err := chunks(io.TeeReader(f, sum), func(chunk []byte) error {
			out := make(chan []checkedLine, 1)
			order <- out
			g.Go(func() error { out <- c.checkChunk(path, chunk); return nil })
			c.addProgress(len(chunk))
			return c.ctx.Err()
		})
		switch {
		case err == nil:
			c.compareHash(path, sum.Sum(nil))
		case c.ctx.Err() == nil:
			c.addFinding(0, path, "%v", err)
		}
		_ = g.Wait() // faults are findings
	}()
	for out := range order {
		for _, line := range <-out {
			each(line)
		}
	}
	return c.ctx.Err() == nil
}

// chunks reads whole lines, about chunkSize at a time. The last one must end like the
// others.
func chunks(r io.Reader, each func(chunk []byte) error) error {
	var rest []byte
	for {
		chunk := make([]byte, max(chunkSize, 2*len(rest)))
		kept := copy(chunk, rest)
		n, err := io.ReadFull(r, chunk[kept:])
		chunk = chunk[:kept+n]
		ends := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ends {
			return err
		}
		cut := bytes.LastIndexByte(chunk, '\n') + 1
		rest = chunk[cut:]
		switch {
		case ends && len(rest) > 0:
			return errors.Join(each(append(chunk, '\n')), errors.New("its last line has no end"))
		case len(rest) > maxLineBytes:
			return fmt.Errorf("it has a line of more than %d bytes", maxLineBytes)
		}
		if cut > 0 {
			if err := each(chunk[:cut]); err != nil {
				return err
			}
		}
		if ends {
			return nil
		}
	}
}

func (c *check) checkChunk(path string, chunk []byte) []checkedLine {
	lines := make([]checkedLine, 0, bytes.Count(chunk, []byte{'\n'}))
	for line := range bytes.Lines(chunk) {
		lines = append(lines, c.checkLine(path, line[:len(line)-1]))
	}
	return lines
}

// checkLine checks one record against the tree.
func (c *check) checkLine(path string, line []byte) (out checkedLine) {
	r, err := evidence.ParseLine(line)
	if err != nil {
		out.sequence, _ = evidence.ClaimedSequence(line) // its claimed sequence
		out.fault = err.Error()
		return out
	}
	out.sequence = r.Sequence
	if c.visit != nil {
		out.record = r
	}
	leaf, err := c.tree.Leaf(r.Sequence)
	switch {
	case err != nil && r.Sequence <= c.tree.Size():
		c.addTileFault(err, recordFaultFormat)
		out.unproved = true
		return out
	case err != nil:
		out.fault = err.Error()
		return out
	}
	if evidence.LeafHash(r.Entry()) != leaf {
		out.fault = fmt.Sprintf("it is not the record that the log has certified (%s)", r.Subject)
		return out
	}
	var faults []error
	out.removed, faults = removedBy(c.tree, r, c.manifest.First, c.manifest.Last)
	for _, err := range faults {
		if t := (*evidence.TileError)(nil); errors.As(err, &t) {
			c.addTileFault(err, recordFaultFormat)
		} else {
			c.addFinding(r.Sequence, path, "%v", err)
		}
	}
	if err := r.CheckBody(); err != nil {
		c.addFinding(r.Sequence, path, "%v", err)
	}
	out.rules, _, out.isRules = rulesOf(r)
	if out.act, err = c.verifier.ActOf(r); err != nil {
		c.addError(r.Sequence, path, err)
	}
	return out
}
