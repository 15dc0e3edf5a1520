package statute

import (
	"slices"
	"time"
)

// NextRise returns the first moment after now at which time alone raises the grade under
// any pack, or nil. It is never later than the Next of Assess, which covers only the
// gravest grade.
func (s *Set) NextRise(c Case, now time.Time) *time.Time {
	r := s.read(&c, now)
	before := slices.Clone(r.packs)
	for _, at := range r.moments() {
		r.at(at, func(l *line) bool { return l.timed })
		for i := range r.packs {
			if r.packs[i].reached > before[i].reached {
				return &at
			}
		}
	}
	return nil
}
