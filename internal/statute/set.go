package statute

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/statute/sourcetext"
)

// Set is a group of packs that were loaded together, sorted by id. Its lines and rises
// are prepared once, so that assessing a case only walks slices.
type Set struct {
	packs []*Pack
	lines []line
	rises []rise
	// stages has the indices of lines in the order in which they are decided.
	stages [3][]int
}

// The stages of deciding: what a line depends on.
const (
	stageFacts  = iota // facts alone
	stageJudged        // a person's judgement
	stageGraded        // the grade under another pack
)

// line is a criterion in the order in which hits are listed: the gravest first, then by
// statute, then in the order of the pack.
type line struct {
	pack      int // index in packs
	criterion *Criterion
	timed     bool // time alone can change its verdict
}

// rise is a duration after which something that lasts may meet a criterion.
type rise struct {
	comparison *comparison
	after      time.Duration
}

// Load reads every *.yaml at the root of fsys. The error is of kind Reject and
// carries every fault of every pack, each path beginning with the file's name.
func Load(fsys fs.FS) (*Set, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fault.New(fault.Reject, "statute: load", "%w", err)
	}
	if len(names) == 0 {
		return nil, fault.New(fault.Reject, "statute: load", "%w", errors.New("no *.yaml here"))
	}
	files := make([]file, len(names))
	for i, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fault.New(fault.Reject, "statute: load", "%w", err)
		}
		p, doc := decode(raw)
		if p.SourceFile != "" {
			p.text, _ = sourcetext.Read(fsys, p.SourceFile) // only Check needs it, and says so
		}
		files[i] = file{name, p, doc}
	}
	crossCheck(files)
	calendars, err := readCalendars(fsys)
	if err != nil {
		return nil, err
	}
	giveCalendars(files, calendars)
	checkNamed(files)
	var faults []fault.Detail
	packs := make([]*Pack, len(files))
	for i, f := range files {
		for _, d := range f.doc.Faults() {
			faults = append(faults, fault.Detail{Path: f.name + ": " + d.Path, Message: d.Message})
		}
		packs[i] = f.pack
	}
	if faults != nil {
		return nil, fault.Invalid("statute: load", faults)
	}
	return newSet(packs), nil
}

// file is a pack with the document that it was read from.
type file struct {
	name string
	pack *Pack
	doc  *document.Document
}

// crossCheck finds faults between packs: duplicate ids, and grades under a pack that is
// missing or that itself depends on another.
func crossCheck(files []file) {
	byID := make(map[string]file)
	for _, f := range files {
		id := f.pack.ID
		if first, taken := byID[id]; taken && id != "" {
			f.doc.Fail("$.id", "the id %q is also that of %s", id, first.name)
		}
		byID[id] = f
		if want := id + path.Ext(f.name); id != "" && f.name != want {
			f.doc.Fail("$.id", "a pack %q stands in a file %s", id, want)
		}
	}
	for _, f := range files {
		f.pack.conditions(func(at string, c Condition) {
			g, ok := c.(*graded)
			if !ok || g.statute == "" {
				return
			}
			switch other, known := byID[g.statute]; {
			case !known:
				f.doc.Fail(at, "no pack %q here", g.statute)
			case other.pack == f.pack || other.pack.derived():
				f.doc.Fail(at, "%q looks at another grade itself: one step is all that is allowed", g.statute)
			}
		})
	}
}

// conditions visits every condition of a pack with its path.
func (p *Pack) conditions(visit func(path string, c Condition)) {
	for i := range p.Criteria {
		walkPaths(fmt.Sprintf("$.criteria[%d].when", i), p.Criteria[i].When, visit)
		for j, k := range p.Criteria[i].Kinds {
			walkPaths(fmt.Sprintf("$.criteria[%d].kinds[%d].when", i, j), k.When, visit)
		}
	}
	for i := range p.Duties {
		walkPaths(fmt.Sprintf("$.duties[%d].for.when", i), p.Duties[i].When, visit)
	}
	for i := range p.FollowUps {
		walkPaths(fmt.Sprintf("$.followUps[%d].for.when", i), p.FollowUps[i].When, visit)
	}
}

// derived reports whether a criterion of the pack depends on another pack.
func (p *Pack) derived() bool {
	return slices.ContainsFunc(p.Criteria, func(c Criterion) bool { return c.graded })
}

func newSet(packs []*Pack) *Set {
	s := &Set{packs: packs}
	slices.SortFunc(s.packs, func(a, b *Pack) int { return strings.Compare(a.ID, b.ID) })
	for _, grade := range event.Grades {
		for i, p := range s.packs {
			for j := range p.Criteria {
				if c := &p.Criteria[j]; c.Grade == grade {
					rises := risesOf(c)
					stage := stageFacts
					switch {
					case c.graded:
						stage = stageGraded
					case c.judged:
						stage = stageJudged
					}
					s.stages[stage] = append(s.stages[stage], len(s.lines))
					s.lines = append(s.lines, line{i, c, stage == stageGraded || rises != nil})
					s.rises = append(s.rises, rises...)
				}
			}
		}
	}
	return s
}

// risesOf lists the durations that matter to a criterion.
func risesOf(c *Criterion) (rises []rise) {
	walk(c.When, func(part Condition) {
		cmp, ok := part.(*comparison)
		if !ok || cmp.fact.each == nil {
			return
		}
		r := rise{cmp, cmp.length}
		if cmp.strict {
			r.after++
		}
		rises = append(rises, r)
	})
	return rises
}

// Packs returns the packs, sorted by id.
func (s *Set) Packs() []*Pack { return slices.Clone(s.packs) }

// Pack returns the pack of the given id.
func (s *Set) Pack(id string) (*Pack, bool) {
	for _, p := range s.packs {
		if p.ID == id {
			return p, true
		}
	}
	return nil, false
}

// CitationZH returns a citation of a pack in Chinese, or "".
func (s *Set) CitationZH(statute, citation string) string {
	if p, ok := s.Pack(statute); ok {
		return p.CitationsZH[citation]
	}
	return ""
}

// Citations returns the citations of all packs in Chinese.
func (s *Set) Citations() event.Citations {
	all := make(event.Citations)
	for _, p := range s.packs {
		maps.Copy(all, p.CitationsZH)
	}
	return all
}

// ChangedFrom returns the ids of the packs that another set lacks or has with another
// content.
func (s *Set) ChangedFrom(other *Set) (ids []string) {
	for _, p := range s.packs {
		if q, ok := other.Pack(p.ID); !ok || q.SHA256 != p.SHA256 {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// AlwaysInForce returns the set with some packs in force at any time: to see what they
// would do, before they are.
func (s *Set) AlwaysInForce(ids []string) *Set {
	packs := slices.Clone(s.packs)
	for i, p := range packs {
		if slices.Contains(ids, p.ID) {
			always := *p
			always.Effective = Effective{}
			packs[i] = &always
		}
	}
	return newSet(packs)
}

// InForce returns the packs that are in force at the time.
func (s *Set) InForce(at time.Time) *Set {
	past := func(p *Pack) bool { return !p.Effective.Contains(at) }
	if !slices.ContainsFunc(s.packs, past) {
		return s
	}
	return newSet(slices.DeleteFunc(slices.Clone(s.packs), past))
}
