package postings

import (
	"encoding/binary"
	"fmt"
)

// Span is the range of times in a block; if there are none, first is greater than last.
type Span struct{ First, Last int64 }

var emptySpan = Span{1, 0}

func (s *Span) extend(at int64) {
	if s.First > s.Last {
		*s = Span{at, at}
		return
	}
	s.First, s.Last = min(s.First, at), max(s.Last, at)
}

// A block is a part of a chunk with the ranges of its escalations' report times and
// acknowledgement targets.
const (
	BlockShift = 9
	Blocks     = ChunkSize >> BlockShift
)

// Block returns the part of a set that covers a block.
func (s *Set) Block(b int) []uint64 {
	const words = 1 << BlockShift / 64
	return s[b*words : (b+1)*words]
}

// Times has, for each block of a chunk, when its escalations were reported and by when
// they are to be acknowledged.
type Times [Blocks]struct{ Reported, By Span }

// NoTimes returns the times of an empty chunk.
func NoTimes() *Times {
	var t Times
	for i := range t {
		t[i].Reported, t[i].By = emptySpan, emptySpan
	}
	return &t
}

// Add adds the times of the record at a position.
func (t *Times) Add(p uint16, reported int64, by *int64) {
	t[p>>BlockShift].Reported.extend(reported)
	if by != nil {
		t[p>>BlockShift].By.extend(*by)
	}
}

const timesBytes = Blocks * 4 * 8

// Encode renders the times as DecodeTimes reads them.
func (t *Times) Encode() []byte {
	out := make([]byte, 0, timesBytes)
	for _, b := range t {
		for _, n := range []int64{b.Reported.First, b.Reported.Last, b.By.First, b.By.Last} {
			out = binary.LittleEndian.AppendUint64(out, uint64(n))
		}
	}
	return out
}

// DecodeTimes reads the times of a chunk.
func DecodeTimes(raw []byte) (*Times, error) {
	if len(raw) != timesBytes {
		return nil, fmt.Errorf("%w: the times of a chunk", ErrDamaged)
	}
	var t Times
	next := func() int64 {
		n := int64(binary.LittleEndian.Uint64(raw))
		raw = raw[8:]
		return n
	}
	for i := range t {
		t[i].Reported, t[i].By = Span{next(), next()}, Span{next(), next()}
	}
	return &t, nil
}
