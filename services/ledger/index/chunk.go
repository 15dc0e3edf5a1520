package index

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// span is the range of times in a block; if there are none, first is greater than last.
type span struct{ first, last int64 }

var nowhere = span{1, 0}

func (s *span) extend(at int64) {
	if s.first > s.last {
		*s = span{at, at}
		return
	}
	s.first, s.last = min(s.first, at), max(s.last, at)
}

// A block is a part of a chunk with the ranges of its escalations' report times and
// acknowledgement targets.
const (
	blockShift = 9
	blocks     = chunkSize >> blockShift
)

// block returns the part of a set that covers a block.
func (s *set) block(b int) []uint64 {
	const words = 1 << blockShift / 64
	return s[b*words : (b+1)*words]
}

type times [blocks]struct{ reported, by span }

func noTimes() *times {
	var t times
	for i := range t {
		t[i].reported, t[i].by = nowhere, nowhere
	}
	return &t
}

func (t *times) add(p uint16, reported int64, by *int64) {
	t[p>>blockShift].reported.extend(reported)
	if by != nil {
		t[p>>blockShift].by.extend(*by)
	}
}

const timesBytes = blocks * 4 * 8

func (t *times) encode() []byte {
	out := make([]byte, 0, timesBytes)
	for _, b := range t {
		for _, n := range []int64{b.reported.first, b.reported.last, b.by.first, b.by.last} {
			out = binary.LittleEndian.AppendUint64(out, uint64(n))
		}
	}
	return out
}

func decodeTimes(raw []byte) (*times, error) {
	if len(raw) != timesBytes {
		return nil, fmt.Errorf("%w: the times of a chunk", errPostings)
	}
	var t times
	next := func() int64 {
		n := int64(binary.LittleEndian.Uint64(raw))
		raw = raw[8:]
		return n
	}
	for i := range t {
		t[i].reported, t[i].by = span{next(), next()}, span{next(), next()}
	}
	return &t, nil
}

// sealedChunk is a chunk whose postings are in the file.
type sealedChunk struct {
	chunk uint64
	times *times
}

// tail is the growing chunk. Its lists hold positions in order; a query skips those that
// were not committed when it began.
type tail struct {
	chunk uint64
	lists map[term][]uint16
	text  map[term]map[uint64][]uint16 // buckets, by token
	moved map[term]*set                // terms that move
	times *times

	titles []titled
}

func newTail(chunk uint64) *tail {
	return &tail{chunk: chunk, lists: map[term][]uint16{}, text: map[term]map[uint64][]uint16{}, moved: map[term]*set{}, times: noTimes()}
}

// add adds a record, whose position must be greater than those before.
func (t *tail) add(p uint16, terms []term, title kind, e *entry) {
	for _, id := range terms {
		t.lists[id] = append(t.lists[id], p)
	}
	if e.title != "" {
		t.titles = append(t.titles, titled{p, e.title})
	}
	for _, token := range e.tokens {
		id := title.term(bucketOf(token))
		b := t.text[id]
		if b == nil {
			b = map[uint64][]uint16{}
			t.text[id] = b
		}
		b[token] = append(b[token], p)
	}
}

func (t *tail) put(id term, p uint16, on bool) {
	s := t.moved[id]
	if s == nil {
		if !on {
			return
		}
		s = new(set)
		t.moved[id] = s
	}
	s.put(p, on)
}

// forget removes records. It makes new lists: a query may be reading the old ones.
func (t *tail) forget(gone *set) {
	rest := func(list []uint16) []uint16 {
		return slices.DeleteFunc(slices.Clone(list), gone.has)
	}
	for id, list := range t.lists {
		t.lists[id] = rest(list)
	}
	for _, b := range t.text {
		for token, list := range b {
			if b[token] = rest(list); len(b[token]) == 0 {
				delete(b, token)
			}
		}
	}
	for _, s := range t.moved {
		s.without(gone)
	}
	t.titles = slices.DeleteFunc(slices.Clone(t.titles), func(e titled) bool { return gone.has(e.at) })
}

// bucket returns the postings of the tokens of a bucket.
func (t *tail) bucket(id term) (out bucket) {
	last := uint64(0)
	for _, token := range slices.Sorted(maps.Keys(t.text[id])) {
		out = out.append(last, token, encodeList(t.text[id][token]))
		last = token
	}
	return out
}
