package export

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// removedBy checks a removal against the tree. It returns the records from first to last
// whose entry in the removal matches the tree, and the faults of the others. A removal is
// valid only for records before itself; a zero hash marks a record that is kept.
func removedBy(t *evidence.ProvedTree, r evidence.Record, first, last uint64) (removed spans, faults []error) {
	from, entries, ok := r.Removal()
	if !ok {
		return nil, nil
	}
	for i, entry := range entries {
		n := from + uint64(i)
		if n < max(first, from) || n > last { // less than from: the sum has overflowed
			continue
		}
		if entry == (evidence.Hash{}) { // the record is kept
			continue
		}
		leaf, err := t.Leaf(n)
		switch {
		case err != nil:
			faults = append(faults, err)
		case leaf != evidence.LeafHash(entry) || n >= r.Sequence:
			faults = append(faults, fmt.Errorf("it names another entry for record %d than the tree has", n))
		default:
			removed.add(span{n, n})
		}
	}
	return removed, faults
}

type span struct{ first, last uint64 }

func (s span) String() string {
	if s.first == s.last {
		return fmt.Sprintf("record %d", s.first)
	}
	return fmt.Sprintf("records %d to %d", s.first, s.last)
}

type spans []span

// add appends a run, and joins it to the last one where they are adjacent.
func (s *spans) add(run span) {
	if n := len(*s); n > 0 && (*s)[n-1].last+1 == run.first {
		(*s)[n-1].last = run.last
		return
	}
	*s = append(*s, run)
}

func (s spans) count() (n uint64) {
	for _, run := range s {
		n += run.last - run.first + 1
	}
	return n
}

// without returns s, which is sorted, minus others.
func (s spans) without(others spans) (left spans) {
	others = slices.SortedFunc(slices.Values(others), func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for _, run := range s {
		for len(others) > 0 && others[0].last < run.first {
			others = others[1:]
		}
		from := run.first
		for _, o := range others {
			if o.first > run.last || from > run.last {
				break
			}
			if o.first > from {
				left.add(span{from, o.first - 1})
			}
			from = max(from, o.last+1)
		}
		if from <= run.last {
			left.add(span{from, run.last})
		}
	}
	return left
}
