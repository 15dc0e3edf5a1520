package index

import (
	"database/sql"
	"errors"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// writing is one transaction, and the changes to make in memory once it has committed.
type writing struct {
	index  *Index
	tail   *tail // the growing chunk of this transaction; the index has another if this one is new
	sealed []sealedChunk

	added        []addition
	moves        []moved
	gone         *postings.Set // from the tail
	dirty        map[spot]*postings.Set
	changedSpots []int64           // spots of sealed chunks whose postings changed
	active       []*incident       // that may have changed
	rows         [statements][]any // values waiting to be inserted together, by statement
}

type addition struct {
	at         uint16
	terms      []extract.Term
	title      extract.Kind
	entry      *extract.Entry
	escalation *extract.Escalation // nil: a revision
}

// moved is a change, in the tail, of a term that records may lose.
type moved struct {
	term extract.Term
	at   uint16
	on   bool
}

func newWriting(x *Index) *writing {
	if len(x.known) > maxKnown {
		clear(x.known)
	}
	return &writing{index: x, tail: x.tail, dirty: map[spot]*postings.Set{}}
}

func (w *writing) exec(s statement, args ...any) error {
	_, err := w.count(s, args...)
	return err
}

func (w *writing) count(s statement, args ...any) (int64, error) {
	res, err := w.index.prepared[s].Exec(args...)
	if err != nil {
		return 0, err
	}
	w.index.unsaved++
	return res.RowsAffected()
}

// insert is exec for the statements of bulk, whose rows are inserted together, at the
// latest by flush.
func (w *writing) insert(s statement, row ...any) error {
	w.rows[s] = append(w.rows[s], row...)
	w.index.unsaved++
	if len(w.rows[s]) < rowsAtOnce*bulk[s] {
		return nil
	}
	err := w.exec(s, w.rows[s]...)
	w.rows[s] = w.rows[s][:0]
	return err
}

func (w *writing) flushRows() error {
	for s, values := range bulk {
		if len(w.rows[s]) == 0 {
			continue
		}
		if err := w.run(statementTexts[s]+rowsOf(values, len(w.rows[s])/values), w.rows[s]...); err != nil {
			return err
		}
		w.rows[s] = nil
	}
	return nil
}

// startChunk starts a chunk. The one before is complete: its postings are written.
func (w *writing) startChunk(chunk uint64) error {
	if w.tail != nil && w.tail.chunk == chunk {
		return nil
	}
	if t := w.tail; t != nil {
		if err := w.seal(t); err != nil {
			return err
		}
		w.sealed = append(w.sealed, sealedChunk{t.chunk, t.times})
	}
	w.tail = newTail(chunk)
	return nil
}

// seal writes the postings of a chunk in order.
func (w *writing) seal(t *tail) error {
	if err := w.exec(insertChunk, t.chunk, t.times.Encode()); err != nil {
		return err
	}
	var terms []extract.Term
	for id, list := range t.lists {
		if len(list) > 0 {
			terms = append(terms, id)
		}
	}
	for id, s := range t.moved {
		if !s.IsEmpty() {
			terms = append(terms, id)
		}
	}
	for id, b := range t.text {
		if len(b) > 0 {
			terms = append(terms, id)
		}
	}
	blocks := t.titleBlocks()
	for id := range blocks {
		terms = append(terms, id)
	}
	slices.Sort(terms)
	for _, id := range terms {
		var raw []byte
		switch {
		case id.Kind() == extract.KindTitles:
			raw = blocks[id]
		case t.text[id] != nil:
			raw = t.bucket(id)
		case t.moved[id] != nil:
			raw = t.moved[id].Encode()
		default:
			raw = postings.EncodeList(t.lists[id])
		}
		if err := w.exec(putPostings, spot{t.chunk, id}.number(), raw); err != nil {
			return err
		}
	}
	return nil
}

// term returns the term of a name, creating it if it is new.
func (w *writing) term(n extract.Named) (extract.Term, error) {
	x := w.index
	if t, known := x.words.Term(n); known {
		return t, nil
	}
	x.mu.Lock()
	t := x.words.Add(n)
	x.mu.Unlock()
	return t, w.exec(insertTerm, int64(t), n.Value)
}

func (w *writing) termsOf(e *extract.Entry) ([]extract.Term, error) {
	terms := make([]extract.Term, 0, len(e.Flags)+len(e.Named))
	terms = append(terms, e.Flags...)
	for _, n := range e.Named {
		t, err := w.term(n)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	return terms, nil
}

// put gives a record a term that can change, or takes it away.
func (w *writing) put(t extract.Term, record uint64, on bool) error {
	x := w.index
	chunk, p := x.chunkOf(record), x.positionOf(record)
	if chunk == w.tail.chunk {
		w.moves = append(w.moves, moved{t, p, on})
		return nil
	}
	s := w.dirty[spot{chunk, t}]
	if s == nil {
		s = new(postings.Set)
		var raw []byte
		err := x.prepared[selectPostings].QueryRow(spot{chunk, t}.number()).Scan(&raw)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := postings.List(raw).AddTo(s); err != nil {
			return err
		}
		w.dirty[spot{chunk, t}] = s
	}
	s.Put(p, on)
	return nil
}

// flush writes everything gathered, and the position.
func (w *writing) flush(seq uint64, salt string) error {
	if err := w.saveAll(); err != nil {
		return err
	}
	if err := w.flushPostings(); err != nil {
		return err
	}
	return w.exec(movePosition, seq, salt)
}

func (w *writing) flushPostings() error {
	for at, s := range w.dirty {
		if err := w.storePostings(at, s.Encode()); err != nil {
			return err
		}
	}
	clear(w.dirty)
	return nil
}

// storePostings writes postings, or deletes them if there are none.
func (w *writing) storePostings(at spot, raw []byte) error {
	w.changedSpots = append(w.changedSpots, at.number())
	if len(raw) == 0 {
		return w.exec(dropPostings, at.number())
	}
	return w.exec(putPostings, at.number(), raw)
}

// merge applies the committed changes in memory.
func (w *writing) merge() {
	x := w.index
	x.cache.drop(w.changedSpots)
	x.sealed, x.tail = append(x.sealed, w.sealed...), w.tail
	for _, a := range w.added {
		x.tail.add(a.at, a.terms, a.title, a.entry)
		if a.escalation != nil {
			x.tail.times.Add(a.at, a.escalation.Reported, a.escalation.By)
		}
	}
	for _, m := range w.moves {
		x.tail.put(m.term, m.at, m.on)
	}
	if w.gone != nil {
		x.tail.forget(w.gone)
	}
}
