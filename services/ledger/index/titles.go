package index

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// titled is the title of a record, folded.
type titled struct {
	at    uint16
	title string
}

const (
	titleShift = 14 // a block is 1<<titleShift positions
	// fewTitles is up to how many titles are read from the rows of their records: that
	// costs less than reading a block, even from the disk.
	fewTitles = 4
)

// titleBlocks returns the encoded titles of the tail, by blocks.
func (t *tail) titleBlocks() map[extract.Term][]byte {
	type lists struct {
		order []string
		of    map[string][]uint16
	}
	found := map[extract.Term]*lists{}
	for _, e := range t.titles {
		id := extract.KindTitles.Term(int64(e.at >> titleShift))
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
	out := map[extract.Term][]byte{}
	for id, l := range found {
		out[id] = postings.EncodeTitles(l.order, l.of)
	}
	return out
}

// verify keeps in s the records whose titles have the words, and returns the cost, in
// rows read.
func (r *reader) verify(p *plan, at place, s *postings.Set) (cost int, err error) {
	if len(p.words) == 0 || s.IsEmpty() {
		return 0, nil
	}
	var fits postings.Set
	if at.tail != nil {
		r.index.mu.RLock()
		all := at.tail.titles
		r.index.mu.RUnlock()
		for _, e := range all {
			if s.Has(e.at) && title.Contains(e.title, p.words) {
				fits.Add(e.at)
			}
		}
		s.And(&fits)
		return 0, nil
	}
	for b := range postings.ChunkSize >> titleShift {
		var of postings.Set
		of.Fill(b<<titleShift, (b+1)<<titleShift-1)
		of.And(s)
		n := of.Count()
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
	s.And(&fits)
	return cost, nil
}

// verifyFew adds to fits the records of a set whose titles have the words.
func (r *reader) verifyFew(p *plan, at place, of, fits *postings.Set) error {
	for pos := range of.All() {
		text, err := r.titleOf(p.titles, r.index.recordAt(at.chunk, pos))
		if err != nil {
			return err
		}
		fits.Put(pos, title.Contains(text, p.words))
	}
	return nil
}

// verifyBlock is verifyFew with all titles of a block.
func (r *reader) verifyBlock(p *plan, at place, block int, of, fits *postings.Set) error {
	raw, err := r.stored(at, extract.KindTitles.Term(int64(block)))
	if err != nil {
		return err
	}
	return postings.Titles(raw).Each(func(text []byte, have postings.List) error {
		if !have.Intersects(of) || !title.Contains(string(text), p.words) {
			return nil
		}
		return have.AddTo(fits)
	})
}

func (r *reader) titleOf(k extract.Kind, record uint64) (string, error) {
	var raw []byte
	if k == extract.KindTitle {
		if err := r.row(lookEscalationRow, record).Scan(&raw); err != nil {
			return "", noRow(err, record)
		}
		return extract.EscalationTitle(raw)
	}
	var id int64
	if err := r.row(lookRevision, record).Scan(&id, &raw); err != nil {
		return "", noRow(err, record)
	}
	return extract.IncidentTitle(raw)
}

// noRow turns a missing row of a record into damage of the postings.
func noRow(err error, record uint64) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: they name record %d, which has no row", postings.ErrDamaged, record)
	}
	return err
}
