// Package postings keeps sets of positions: in memory as bitmaps, and stored as lists or
// bitmaps, alone, by token or by title. It also keeps the ranges of times by which whole
// blocks of positions are left out. Reading damaged data ends with ErrDamaged.
package postings

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// The ledger is divided into chunks of this many sequences. The records that share a term
// are stored for each chunk as a set of positions.
const (
	ChunkShift = 16
	ChunkSize  = 1 << ChunkShift
)

// ErrDamaged is of postings that are damaged.
var ErrDamaged = errors.New("postings are damaged")

// Set is a set of positions in a chunk.
type Set [ChunkSize / 64]uint64

// Fill adds every position from first through last to an empty set.
func (s *Set) Fill(first, last int) {
	for p := first; p <= last; {
		if p%64 == 0 && p+63 <= last {
			s[p/64] = ^uint64(0)
			p += 64
			continue
		}
		s.Add(uint16(p))
		p++
	}
}

// Has reports whether a position is in the set.
func (s *Set) Has(p uint16) bool { return s[p/64]&(1<<(p%64)) != 0 }

// Add adds a position.
func (s *Set) Add(p uint16) { s[p/64] |= 1 << (p % 64) }

// Remove removes a position.
func (s *Set) Remove(p uint16) { s[p/64] &^= 1 << (p % 64) }

// Put adds or removes a position.
func (s *Set) Put(p uint16, on bool) {
	if on {
		s.Add(p)
	} else {
		s.Remove(p)
	}
}

// And keeps only what t has as well.
func (s *Set) And(t *Set) {
	for i := range s {
		s[i] &= t[i]
	}
}

// Or adds what t has.
func (s *Set) Or(t *Set) {
	for i := range s {
		s[i] |= t[i]
	}
}

// Without removes what t has.
func (s *Set) Without(t *Set) {
	for i := range s {
		s[i] &^= t[i]
	}
}

// IsEmpty reports whether the set has no position.
func (s *Set) IsEmpty() bool {
	var any uint64
	for _, w := range s {
		any |= w
	}
	return any == 0
}

// Count returns the number of positions.
func (s *Set) Count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// All yields the positions, in order.
func (s *Set) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(uint16(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// MaxBytes is the length of a bitmap. A set is stored as its positions in order, two bytes
// each, or as a bitmap if that is not longer. A list is always shorter than MaxBytes, which tells the
// two apart.
const MaxBytes = ChunkSize / 8

// List is a set as stored: see MaxBytes.
type List []byte

// Encode returns the postings of a set.
func (s *Set) Encode() List {
	n := s.Count()
	if 2*n < MaxBytes {
		out := make(List, 0, 2*n)
		for p := range s.All() {
			out = binary.LittleEndian.AppendUint16(out, p)
		}
		return out
	}
	out := make(List, 0, MaxBytes)
	for _, w := range s {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// EncodeList returns the postings of ordered positions.
func EncodeList(list []uint16) List {
	if 2*len(list) >= MaxBytes {
		var s Set
		for _, p := range list {
			s.Add(p)
		}
		return s.Encode()
	}
	out := make(List, 0, 2*len(list))
	for _, p := range list {
		out = binary.LittleEndian.AppendUint16(out, p)
	}
	return out
}

func (p List) isList() bool { return len(p) != MaxBytes }

// Check returns an error unless encode could have made the postings.
func (p List) Check() error {
	if !p.isList() {
		n := 0
		for _, b := range p {
			n += bits.OnesCount8(b)
		}
		if 2*n < MaxBytes {
			return fmt.Errorf("%w: a bitmap that is a list", ErrDamaged)
		}
		return nil
	}
	if len(p) > MaxBytes || len(p)%2 != 0 {
		return fmt.Errorf("%w: %d bytes", ErrDamaged, len(p))
	}
	for i := 2; i < len(p); i += 2 {
		if binary.LittleEndian.Uint16(p[i-2:]) >= binary.LittleEndian.Uint16(p[i:]) {
			return fmt.Errorf("%w: not in order", ErrDamaged)
		}
	}
	return nil
}

// AddTo adds the postings to a set.
func (p List) AddTo(s *Set) error {
	if err := p.Check(); err != nil {
		return err
	}
	if !p.isList() {
		for i := range s {
			s[i] |= binary.LittleEndian.Uint64(p[8*i:])
		}
		return nil
	}
	for ; len(p) > 0; p = p[2:] {
		s.Add(binary.LittleEndian.Uint16(p))
	}
	return nil
}

// And keeps in a set what the postings contain too.
func (p List) And(s *Set) error {
	if !p.isList() {
		for i := range s {
			s[i] &= binary.LittleEndian.Uint64(p[8*i:])
		}
		return nil
	}
	if err := p.Check(); err != nil {
		return err
	}
	var both Set
	for ; len(p) > 0; p = p[2:] {
		if at := binary.LittleEndian.Uint16(p); s.Has(at) {
			both.Add(at)
		}
	}
	*s = both
	return nil
}

// Intersects reports whether the postings and a set have a position in common.
func (p List) Intersects(s *Set) bool {
	if !p.isList() {
		both := *s
		return p.And(&both) == nil && !both.IsEmpty()
	}
	for ; len(p) > 1; p = p[2:] {
		if s.Has(binary.LittleEndian.Uint16(p)) {
			return true
		}
	}
	return false
}

// Bucket holds the postings of several tokens of titles, ordered by token: for each its
// distance from the one before, the length of its postings, and these. Most tokens occur
// in few titles of a chunk, and a row for each would cost more than its contents.
type Bucket []byte

// Append adds the postings of a token, which must be greater than last, the one before;
// last is 0 at the start.
func (b Bucket) Append(last, token uint64, p List) Bucket {
	b = binary.AppendUvarint(b, token-last)
	b = binary.AppendUvarint(b, uint64(len(p)))
	return append(b, p...)
}

// Each calls yield with every token until it returns false.
func (b Bucket) Each(yield func(token uint64, p List) bool) error {
	token, first := uint64(0), true
	for rest := []byte(b); len(rest) > 0; first = false {
		step, n := binary.Uvarint(rest)
		if n <= 0 || step == 0 && !first || token+step < token {
			return fmt.Errorf("%w: a token", ErrDamaged)
		}
		rest = rest[n:]
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return fmt.Errorf("%w: the length of a token's postings", ErrDamaged)
		}
		token += step
		if !yield(token, List(rest[n:n+int(size)])) {
			return nil
		}
		rest = rest[n+int(size):]
	}
	return nil
}

// Find returns the postings of a token, or none.
func (b Bucket) Find(token uint64) (found List, err error) {
	err = b.Each(func(t uint64, p List) bool {
		if t == token {
			found = p
		}
		return t < token
	})
	return found, err
}

// Without returns the postings without some positions, and whether any was in them.
func (p List) Without(gone *Set) (rest []byte, differs bool, err error) {
	var s Set
	if err := p.AddTo(&s); err != nil {
		return nil, false, err
	}
	before := s.Count()
	s.Without(gone)
	return s.Encode(), s.Count() != before, nil
}

// Without does so for every token's postings.
func (b Bucket) Without(gone *Set) (rest []byte, differs bool, err error) {
	out, last := Bucket{}, uint64(0)
	broken := b.Each(func(token uint64, p List) bool {
		var left []byte
		var fewer bool
		if left, fewer, err = p.Without(gone); err != nil {
			return false
		}
		differs = differs || fewer
		if len(left) > 0 {
			out, last = out.Append(last, token, left), token
		}
		return true
	})
	return out, differs, errors.Join(broken, err)
}

// AddCounts adds to n how many of the positions are in each set. Every set must be part
// of the first one.
func (p List) AddCounts(sets []Set, n []uint64) error {
	if !p.isList() {
		for w := range MaxBytes / 8 {
			word := binary.LittleEndian.Uint64(p[8*w:])
			if word &= sets[0][w]; word == 0 {
				continue
			}
			for i := range sets {
				n[i] += uint64(bits.OnesCount64(sets[i][w] & word))
			}
		}
		return nil
	}
	if err := p.Check(); err != nil {
		return err
	}
	for ; len(p) > 0; p = p[2:] {
		at := binary.LittleEndian.Uint16(p)
		if !sets[0].Has(at) {
			continue
		}
		for i := range sets {
			if sets[i].Has(at) {
				n[i]++
			}
		}
	}
	return nil
}
