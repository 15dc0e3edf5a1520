package index

import (
	"maps"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// sealedChunk is a chunk whose postings are in the file.
type sealedChunk struct {
	chunk uint64
	times *postings.Times
}

// tail is the growing chunk. Its lists hold positions in order; a query skips those that
// were not committed when it began.
type tail struct {
	chunk uint64
	lists map[extract.Term][]uint16
	text  map[extract.Term]map[uint64][]uint16 // buckets, by token
	moved map[extract.Term]*postings.Set       // terms that move
	times *postings.Times

	titles []titled
}

func newTail(chunk uint64) *tail {
	return &tail{chunk: chunk, lists: map[extract.Term][]uint16{}, text: map[extract.Term]map[uint64][]uint16{}, moved: map[extract.Term]*postings.Set{}, times: postings.NoTimes()}
}

// add adds a record, whose position must be greater than those before.
func (t *tail) add(p uint16, terms []extract.Term, titles extract.Kind, e *extract.Entry) {
	for _, id := range terms {
		t.lists[id] = append(t.lists[id], p)
	}
	if e.Title != "" {
		t.titles = append(t.titles, titled{p, e.Title})
	}
	for _, token := range e.Tokens {
		id := titles.Term(title.Bucket(token))
		b := t.text[id]
		if b == nil {
			b = map[uint64][]uint16{}
			t.text[id] = b
		}
		b[token] = append(b[token], p)
	}
}

func (t *tail) put(id extract.Term, p uint16, on bool) {
	s := t.moved[id]
	if s == nil {
		if !on {
			return
		}
		s = new(postings.Set)
		t.moved[id] = s
	}
	s.Put(p, on)
}

// forget removes records. It makes new lists: a query may be reading the old ones.
func (t *tail) forget(gone *postings.Set) {
	rest := func(list []uint16) []uint16 {
		return slices.DeleteFunc(slices.Clone(list), gone.Has)
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
		s.Without(gone)
	}
	t.titles = slices.DeleteFunc(slices.Clone(t.titles), func(e titled) bool { return gone.Has(e.at) })
}

func (t *tail) bucket(id extract.Term) (out postings.Bucket) {
	last := uint64(0)
	for _, token := range slices.Sorted(maps.Keys(t.text[id])) {
		out = out.Append(last, token, postings.EncodeList(t.text[id][token]))
		last = token
	}
	return out
}
