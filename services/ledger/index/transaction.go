package index

import (
	"database/sql"
	"errors"
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// transaction is one transaction, and the changes to make in memory once it has
// committed.
type transaction struct {
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

func newTransaction(x *Index) *transaction {
	if len(x.known) > maxKnown {
		clear(x.known)
	}
	return &transaction{index: x, tail: x.tail, dirty: map[spot]*postings.Set{}}
}

func (tx *transaction) exec(s statement, args ...any) error {
	_, err := tx.count(s, args...)
	return err
}

func (tx *transaction) count(s statement, args ...any) (int64, error) {
	res, err := tx.index.prepared[s].Exec(args...)
	if err != nil {
		return 0, err
	}
	tx.index.unsaved++
	return res.RowsAffected()
}

// insert is exec for the statements of bulk, whose rows are inserted together, at the
// latest by flush.
func (tx *transaction) insert(s statement, row ...any) error {
	tx.rows[s] = append(tx.rows[s], row...)
	tx.index.unsaved++
	if len(tx.rows[s]) < rowsAtOnce*bulk[s] {
		return nil
	}
	err := tx.exec(s, tx.rows[s]...)
	tx.rows[s] = tx.rows[s][:0]
	return err
}

func (tx *transaction) flushRows() error {
	for s, values := range bulk {
		if len(tx.rows[s]) == 0 {
			continue
		}
		if err := tx.run(statementTexts[s]+rowsOf(values, len(tx.rows[s])/values), tx.rows[s]...); err != nil {
			return err
		}
		tx.rows[s] = nil
	}
	return nil
}

// startChunk starts a chunk. The one before is complete: its postings are written.
func (tx *transaction) startChunk(chunk uint64) error {
	if tx.tail != nil && tx.tail.chunk == chunk {
		return nil
	}
	if t := tx.tail; t != nil {
		if err := tx.seal(t); err != nil {
			return err
		}
		tx.sealed = append(tx.sealed, sealedChunk{t.chunk, t.times})
	}
	tx.tail = newTail(chunk)
	return nil
}

// seal writes the postings of a chunk in order.
func (tx *transaction) seal(t *tail) error {
	if err := tx.exec(insertChunk, t.chunk, t.times.Encode()); err != nil {
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
		if err := tx.exec(putPostings, spot{t.chunk, id}.number(), raw); err != nil {
			return err
		}
	}
	return nil
}

// term returns the term of a name, creating it if it is new.
func (tx *transaction) term(n extract.Named) (extract.Term, error) {
	x := tx.index
	if t, known := x.words.Term(n); known {
		return t, nil
	}
	x.mu.Lock()
	t := x.words.Add(n)
	x.mu.Unlock()
	return t, tx.exec(insertTerm, int64(t), n.Value)
}

func (tx *transaction) termsOf(e *extract.Entry) ([]extract.Term, error) {
	terms := make([]extract.Term, 0, len(e.Flags)+len(e.Named))
	terms = append(terms, e.Flags...)
	for _, n := range e.Named {
		t, err := tx.term(n)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	return terms, nil
}

// put gives a record a term that can change, or takes it away.
func (tx *transaction) put(t extract.Term, record uint64, on bool) error {
	x := tx.index
	chunk, p := x.chunkOf(record), x.positionOf(record)
	if chunk == tx.tail.chunk {
		tx.moves = append(tx.moves, moved{t, p, on})
		return nil
	}
	s := tx.dirty[spot{chunk, t}]
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
		tx.dirty[spot{chunk, t}] = s
	}
	s.Put(p, on)
	return nil
}

// flush writes everything gathered, and the position.
func (tx *transaction) flush(seq uint64, salt string) error {
	if err := tx.saveAll(); err != nil {
		return err
	}
	if err := tx.flushPostings(); err != nil {
		return err
	}
	return tx.exec(movePosition, seq, salt)
}

func (tx *transaction) flushPostings() error {
	for at, s := range tx.dirty {
		if err := tx.storePostings(at, s.Encode()); err != nil {
			return err
		}
	}
	clear(tx.dirty)
	return nil
}

// storePostings writes postings, or deletes them if there are none.
func (tx *transaction) storePostings(at spot, raw []byte) error {
	tx.changedSpots = append(tx.changedSpots, at.number())
	if len(raw) == 0 {
		return tx.exec(dropPostings, at.number())
	}
	return tx.exec(putPostings, at.number(), raw)
}

// merge applies the committed changes in memory.
func (tx *transaction) merge() {
	x := tx.index
	x.cache.drop(tx.changedSpots)
	x.sealed, x.tail = append(x.sealed, tx.sealed...), tx.tail
	for _, a := range tx.added {
		x.tail.add(a.at, a.terms, a.title, a.entry)
		if a.escalation != nil {
			x.tail.times.Add(a.at, a.escalation.Reported, a.escalation.By)
		}
	}
	for _, m := range tx.moves {
		x.tail.put(m.term, m.at, m.on)
	}
	if tx.gone != nil {
		x.tail.forget(tx.gone)
	}
}
