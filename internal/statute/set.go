package statute

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Set is a group of packs that were loaded together, sorted by id. Its lines and rises
// are prepared once, so that assessing a case only walks slices.
type Set struct {
	packs []*Pack
	lines []line
	rises []rise
}

// line is a criterion in the order in which hits are listed: the gravest first, then by
// statute, then in the order of the pack.
type line struct {
	pack      int // index in packs
	criterion *Criterion
	derived   bool // it depends on the grade under another pack
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
	var faults []fault.Detail
	files := make(map[*Pack]string, len(names))
	packs := make([]*Pack, 0, len(names))
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fault.New(fault.Reject, "statute: load", "%w", err)
		}
		var own []fault.Detail
		p := decode(raw, &own)
		files[p] = name
		faults = append(faults, inFile(name, own)...)
		packs = append(packs, p)
	}
	faults = append(faults, crossCheck(packs, files)...)
	if faults != nil {
		return nil, fault.Invalid("statute: load", faults)
	}
	return newSet(packs), nil
}

func inFile(name string, details []fault.Detail) []fault.Detail {
	for i := range details {
		details[i].Path = name + ": " + details[i].Path
	}
	return details
}

// crossCheck finds faults between packs: duplicate ids, and grades under a pack that is
// missing or that itself depends on another.
func crossCheck(packs []*Pack, files map[*Pack]string) (faults []fault.Detail) {
	byID := make(map[string]*Pack)
	for _, p := range packs {
		before := len(faults)
		n := at(&faults, files[p]+": $.id")
		if p.ID != "" && byID[p.ID] != nil {
			n.fail("the id %q is also that of %s", p.ID, files[byID[p.ID]])
		}
		byID[p.ID] = p
		if want := p.ID + path.Ext(files[p]); p.ID != "" && files[p] != want {
			n.fail("a pack %q stands in a file %s", p.ID, want)
		}
		document.Locate(p.Raw, faults[before:])
	}
	for _, p := range packs {
		before := len(faults)
		p.conditions(func(where string, c Condition) {
			g, ok := c.(*graded)
			if !ok {
				return
			}
			n := at(&faults, files[p]+": "+where)
			switch other := byID[g.statute]; {
			case other == nil:
				n.fail("no pack %q here", g.statute)
			case other == p || other.derived():
				n.fail("%q looks at another grade itself: one step is all that is allowed", g.statute)
			}
		})
		document.Locate(p.Raw, faults[before:])
	}
	return faults
}

// conditions visits every condition of a pack with the path of its line.
func (p *Pack) conditions(visit func(where string, c Condition)) {
	for i := range p.Criteria {
		c := &p.Criteria[i]
		walk(c.When, func(part Condition) { visit(fmt.Sprintf("$.criteria[%d]", i), part) })
	}
	for i := range p.Duties {
		d := &p.Duties[i]
		walk(d.When, func(part Condition) { visit(fmt.Sprintf("$.duties[%d]", i), part) })
	}
	for i := range p.FollowUps {
		f := &p.FollowUps[i]
		walk(f.When, func(part Condition) { visit(fmt.Sprintf("$.followUps[%d]", i), part) })
	}
}

// derived reports whether a criterion of the pack depends on another pack.
func (p *Pack) derived() bool {
	return slices.ContainsFunc(p.Criteria, func(c Criterion) bool { return c.derived() })
}

func (c *Criterion) derived() (found bool) {
	walk(c.When, func(part Condition) {
		if _, ok := part.(*graded); ok {
			found = true
		}
	})
	return found
}

func newSet(packs []*Pack) *Set {
	s := &Set{packs: packs}
	slices.SortFunc(s.packs, func(a, b *Pack) int { return strings.Compare(a.ID, b.ID) })
	for _, grade := range event.Grades {
		for i, p := range s.packs {
			for j := range p.Criteria {
				if c := &p.Criteria[j]; c.Grade == grade {
					rises := risesOf(c)
					s.lines = append(s.lines, line{i, c, c.derived(), c.derived() || rises != nil})
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

// InForce returns the packs that are in force at the time.
func (s *Set) InForce(at time.Time) *Set {
	past := func(p *Pack) bool { return !p.Effective.Contains(at) }
	if !slices.ContainsFunc(s.packs, past) {
		return s
	}
	return newSet(slices.DeleteFunc(slices.Clone(s.packs), past))
}
