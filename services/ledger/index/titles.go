package index

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/tocsin-project/tocsin/internal/event"
)

// titled is the title of a record, folded.
type titled struct {
	at    uint16
	title string
}

// titles are those of a block of a chunk, each once with the records that have it: the
// title's length, the title, the length of its postings, and these. Most records of an
// incident have the same title.
type titles []byte

const (
	titleShift = 14 // a block is 1<<titleShift positions
	// fewTitles is up to how many titles are read from the rows of their records: that
	// costs less than reading a block, even from the disk.
	fewTitles = 4
)

// titleBlocks returns the encoded titles of the tail, by blocks.
func (t *tail) titleBlocks() map[term][]byte {
	type lists struct {
		order []string
		of    map[string][]uint16
	}
	found := map[term]*lists{}
	for _, e := range t.titles {
		id := kindTitles.term(int64(e.at >> titleShift))
		l := found[id]
		if l == nil {
			l = &lists{of: map[string][]uint16{}}
			found[id] = l
		}
		if l.of[e.title] == nil {
			l.order = append(l.order, e.title)
		}
		l.of[e.title] = append(l.of[e.title], e.at)
	}
	out := map[term][]byte{}
	for id, l := range found {
		var plain []byte
		for _, title := range l.order {
			plain = appendTitle(plain, title, encodeList(l.of[title]))
		}
		out[id] = s2.Encode(nil, plain)
	}
	return out
}

func appendTitle(out []byte, title string, p postings) []byte {
	out = append(binary.AppendUvarint(out, uint64(len(title))), title...)
	return append(binary.AppendUvarint(out, uint64(len(p))), p...)
}

// each calls yield with every title.
func (t titles) each(yield func(title []byte, p postings) error) error {
	rest, err := s2.Decode(nil, t)
	if err != nil {
		return fmt.Errorf("%w: titles: %w", errPostings, err)
	}
	part := func() ([]byte, bool) {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, false
		}
		out := rest[n : n+int(size)]
		rest = rest[n+int(size):]
		return out, true
	}
	for len(rest) > 0 {
		title, whole := part()
		p, more := part()
		if !whole || !more {
			return fmt.Errorf("%w: the length of a title", errPostings)
		}
		if err := yield(title, postings(p)); err != nil {
			return err
		}
	}
	return nil
}

// without returns the titles without some positions, and whether any was in them.
func (t titles) without(gone *set) (rest []byte, differs bool, err error) {
	var plain []byte
	err = t.each(func(title []byte, p postings) error {
		left, fewer, err := p.without(gone)
		if len(left) > 0 {
			plain = appendTitle(plain, string(title), left)
		}
		differs = differs || fewer
		return err
	})
	if len(plain) == 0 {
		return nil, differs, err
	}
	return s2.Encode(nil, plain), differs, err
}

// verify keeps in s the records whose titles have the words, and returns the cost, in
// rows read.
func (r *reader) verify(p *plan, at place, s *set) (cost int, err error) {
	if len(p.words) == 0 || s.empty() {
		return 0, nil
	}
	var fits set
	if at.tail != nil {
		r.index.mu.RLock()
		all := at.tail.titles
		r.index.mu.RUnlock()
		for _, e := range all {
			if s.has(e.at) && stands(e.title, p.words) {
				fits.add(e.at)
			}
		}
		s.and(&fits)
		return 0, nil
	}
	for b := range chunkSize >> titleShift {
		var of set
		of.fill(b<<titleShift, (b+1)<<titleShift-1)
		of.and(s)
		n := of.count()
		if n <= fewTitles {
			err = r.verifyFew(p, at, &of, &fits)
		} else {
			err = r.verifyBlock(p, at, b, &of, &fits)
		}
		if err != nil {
			return cost, err
		}
		cost += min(n, fewTitles)
	}
	s.and(&fits)
	return cost, nil
}

// verifyFew adds to fits the records of a set whose titles have the words.
func (r *reader) verifyFew(p *plan, at place, of, fits *set) error {
	for pos := range of.all() {
		title, err := r.titleOf(p.titles, r.index.recordAt(at.chunk, pos))
		if err != nil {
			return err
		}
		fits.put(pos, stands(title, p.words))
	}
	return nil
}

// verifyBlock is verifyFew with all titles of a block.
func (r *reader) verifyBlock(p *plan, at place, block int, of, fits *set) error {
	raw, err := r.postings(at, kindTitles.term(int64(block)))
	if err != nil {
		return err
	}
	return titles(raw).each(func(title []byte, have postings) error {
		if !have.meets(of) || !stands(string(title), p.words) {
			return nil
		}
		return have.addTo(fits)
	})
}

// titleOf returns the title of an escalation or a revision, folded.
func (r *reader) titleOf(k kind, record uint64) (string, error) {
	var raw []byte
	if k == kindTitle {
		if err := r.row(lookEscalationRow, record).Scan(&raw); err != nil {
			return "", noRow(err, record)
		}
		var e struct {
			Report json.RawMessage `json:"report"`
		}
		_, err := unpack(raw, &e, escalatedTitle)
		return fold((&escalated{Report: e.Report}).row(record).Title), err
	}
	var id int64
	if err := r.row(lookRevision, record).Scan(&id, &raw); err != nil {
		return "", noRow(err, record)
	}
	var g revision
	_, err := unpack(raw, &g, revisionTitle)
	return fold(g.row(record).Title), err
}

var (
	escalatedTitle = event.Parts{"report": nil}
	revisionTitle  = event.Parts{"state": {"fields": {"title": nil}}}
)

// noRow turns a missing row of a record into damage of the postings.
func noRow(err error, record uint64) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: they name record %d, which has no row", errPostings, record)
	}
	return err
}
