package index

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
	chunkShift = 16
	chunkSize  = 1 << chunkShift
)

// errPostings is of postings that are damaged.
var errPostings = errors.New("postings are damaged")

// set is a set of positions in a chunk.
type set [chunkSize / 64]uint64

// fill adds every position from first through last to an empty set.
func (s *set) fill(first, last int) {
	for p := first; p <= last; {
		if p%64 == 0 && p+63 <= last {
			s[p/64] = ^uint64(0)
			p += 64
			continue
		}
		s.add(uint16(p))
		p++
	}
}

func (s *set) has(p uint16) bool { return s[p/64]&(1<<(p%64)) != 0 }
func (s *set) add(p uint16)      { s[p/64] |= 1 << (p % 64) }
func (s *set) remove(p uint16)   { s[p/64] &^= 1 << (p % 64) }

func (s *set) put(p uint16, on bool) {
	if on {
		s.add(p)
	} else {
		s.remove(p)
	}
}

func (s *set) and(t *set) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s *set) or(t *set) {
	for i := range s {
		s[i] |= t[i]
	}
}

func (s *set) without(t *set) {
	for i := range s {
		s[i] &^= t[i]
	}
}

func (s *set) empty() bool {
	var any uint64
	for _, w := range s {
		any |= w
	}
	return any == 0
}

func (s *set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// all yields the positions, in order.
func (s *set) all() iter.Seq[uint16] {
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

// Postings are a set as stored: its positions in order, two bytes each, or a bitmap of
// setBytes if that is not longer. A list is always shorter than setBytes, which tells the
// two apart.
const setBytes = chunkSize / 8

type postings []byte

// encode returns the postings of a set.
func (s *set) encode() postings {
	n := s.count()
	if 2*n < setBytes {
		out := make(postings, 0, 2*n)
		for p := range s.all() {
			out = binary.LittleEndian.AppendUint16(out, p)
		}
		return out
	}
	out := make(postings, 0, setBytes)
	for _, w := range s {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// encodeList returns the postings of ordered positions.
func encodeList(list []uint16) postings {
	if 2*len(list) >= setBytes {
		var s set
		for _, p := range list {
			s.add(p)
		}
		return s.encode()
	}
	out := make(postings, 0, 2*len(list))
	for _, p := range list {
		out = binary.LittleEndian.AppendUint16(out, p)
	}
	return out
}

func (p postings) isList() bool { return len(p) != setBytes }

// check returns an error unless encode could have made the postings.
func (p postings) check() error {
	if !p.isList() {
		n := 0
		for _, b := range p {
			n += bits.OnesCount8(b)
		}
		if 2*n < setBytes {
			return fmt.Errorf("%w: a bitmap that is a list", errPostings)
		}
		return nil
	}
	if len(p) > setBytes || len(p)%2 != 0 {
		return fmt.Errorf("%w: %d bytes", errPostings, len(p))
	}
	for i := 2; i < len(p); i += 2 {
		if binary.LittleEndian.Uint16(p[i-2:]) >= binary.LittleEndian.Uint16(p[i:]) {
			return fmt.Errorf("%w: not in order", errPostings)
		}
	}
	return nil
}

// addTo adds the postings to a set.
func (p postings) addTo(s *set) error {
	if err := p.check(); err != nil {
		return err
	}
	if !p.isList() {
		for i := range s {
			s[i] |= binary.LittleEndian.Uint64(p[8*i:])
		}
		return nil
	}
	for ; len(p) > 0; p = p[2:] {
		s.add(binary.LittleEndian.Uint16(p))
	}
	return nil
}

// and keeps in a set what the postings contain too.
func (p postings) and(s *set) error {
	if !p.isList() && len(p) == setBytes {
		for i := range s {
			s[i] &= binary.LittleEndian.Uint64(p[8*i:])
		}
		return nil
	}
	if err := p.check(); err != nil {
		return err
	}
	var both set
	for ; len(p) > 0; p = p[2:] {
		if at := binary.LittleEndian.Uint16(p); s.has(at) {
			both.add(at)
		}
	}
	*s = both
	return nil
}

// meets reports whether the postings and a set have a position in common.
func (p postings) meets(s *set) bool {
	if !p.isList() {
		both := *s
		return p.and(&both) == nil && !both.empty()
	}
	for ; len(p) > 1; p = p[2:] {
		if s.has(binary.LittleEndian.Uint16(p)) {
			return true
		}
	}
	return false
}

// A bucket holds the postings of several tokens of titles, ordered by token: for each its
// distance from the one before, the length of its postings, and these. Most tokens occur
// in few titles of a chunk, and a row for each would cost more than its contents.
type bucket []byte

// append adds the postings of a token, which must be greater than last, the one before;
// last is 0 at the start.
func (b bucket) append(last, token uint64, p postings) bucket {
	b = binary.AppendUvarint(b, token-last)
	b = binary.AppendUvarint(b, uint64(len(p)))
	return append(b, p...)
}

// each calls yield with every token until it returns false.
func (b bucket) each(yield func(token uint64, p postings) bool) error {
	token, first := uint64(0), true
	for rest := []byte(b); len(rest) > 0; first = false {
		step, n := binary.Uvarint(rest)
		if n <= 0 || step == 0 && !first || token+step < token {
			return fmt.Errorf("%w: a token", errPostings)
		}
		rest = rest[n:]
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return fmt.Errorf("%w: the length of a token's postings", errPostings)
		}
		token += step
		if !yield(token, postings(rest[n:n+int(size)])) {
			return nil
		}
		rest = rest[n+int(size):]
	}
	return nil
}

// find returns the postings of a token, or none.
func (b bucket) find(token uint64) (found postings, err error) {
	err = b.each(func(t uint64, p postings) bool {
		if t == token {
			found = p
		}
		return t < token
	})
	return found, err
}
