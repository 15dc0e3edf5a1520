package index

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// kind is the kind of a term; it is part of the term's number, so that the terms of one
// kind are adjacent in a chunk.
type kind int64

const (
	kindFlag kind = iota + 1 // the flags below

	// Of escalations.
	kindGrade
	kindOperator
	kindDesk
	kindStatute
	kindRegion // of the facility
	kindArea   // the province or prefecture that the region lies in
	kindSector
	kindMonth // told in
	kindTitle // buckets of tokens

	// Of incidents, by the record of the current revision.
	kindIncidentGrade
	kindIncidentOperator
	kindIncidentTitle // buckets of tokens
	kindTold          // desks that were told
	kindOpenAt        // of these, the desks that have not closed it since; numbered as kindTold

	kindTitles // postings.Blocks of titles, of either

	// Of both: area and sector of one facility.
	kindPlace
	kindIncidentPlace

	kindIncidentArea // as kindArea, of the incident's facilities
	kindIncidentSector
)

// term is a property that records share.
type term int64

const kindShift = 32

func (k kind) term(n int64) term { return term(int64(k)<<kindShift | n) }

func (t term) kind() kind { return kind(t >> kindShift) }

func (t term) number() int64 { return int64(t) & (1<<kindShift - 1) }

// spot is the place of postings in the file. Its number orders them by chunks.
type spot struct {
	chunk uint64
	term  term
}

const spotShift = kindShift + 5 // no kind is 1<<5 or more

func (s spot) number() int64 { return int64(s.chunk)<<spotShift | int64(s.term) }

func spotOf(number int64) spot {
	return spot{uint64(number) >> spotShift, term(number & (1<<spotShift - 1))}
}

// The flags.
const (
	flagEscalation = term(int64(kindFlag)<<kindShift | iota)
	flagTimed      // a duty of it had a due time
	flagLate       // and was told after it
	flagTargeted   // the desk has a target
	flagOpen       // not acknowledged, and must be
	flagOverdue    // there is a record that it was not acknowledged by the target
	flagAckLate    // it was acknowledged, and late
	flagCurrent    // the current revision of an incident
	flagUpheld     // a revision that does not withdraw the incident
	flagOwed       // a revision that lists something owed
	flagOwnAct     // tells a desk of its own act: nothing to acknowledge
)

// moves reports whether a record may get or lose the term after it was indexed.
func (t term) moves() bool {
	switch t {
	case flagOpen, flagOverdue, flagAckLate, flagCurrent:
		return true
	}
	return t.kind() == kindTold || t.kind() == kindOpenAt
}

// named is a term by its name.
type named struct {
	kind  kind
	value string
}

// vocabulary has every term that has a name. One goroutine adds to it; others read under
// index.mu.
type vocabulary struct {
	terms map[named]term
	names map[kind][]string // by number
}

func newVocabulary() *vocabulary {
	return &vocabulary{terms: map[named]term{}, names: map[kind][]string{}}
}

func (v *vocabulary) add(n named) term {
	t := n.kind.term(int64(len(v.names[n.kind])))
	v.terms[n] = t
	v.names[n.kind] = append(v.names[n.kind], n.value)
	return t
}

// within returns the terms of a kind whose names have a prefix.
func (v *vocabulary) within(k kind, prefix string) (terms []term) {
	for i, name := range v.names[k] {
		if strings.HasPrefix(name, prefix) {
			terms = append(terms, k.term(int64(i)))
		}
	}
	return terms
}

// termsOf returns the permanent terms of an entry, all of which are known.
func (v *vocabulary) termsOf(e *entry) ([]term, error) {
	terms := slices.Clone(e.flags)
	for _, n := range e.named {
		t, known := v.terms[n]
		if !known {
			return nil, fmt.Errorf("%w: %q has no term", postings.ErrDamaged, n.value)
		}
		terms = append(terms, t)
	}
	return terms, nil
}

// month returns the month of a moment at +08:00, the time of the law.
func month(at time.Time) string {
	return at.In(time.FixedZone("", 8*60*60)).Format("2006-01")
}

// chunkOf and positionOf return the place of a record; recordAt is the inverse.
func (x *Index) chunkOf(record uint64) uint64 { return record >> x.shift }

func (x *Index) positionOf(record uint64) uint16 { return uint16(record & (1<<x.shift - 1)) }

func (x *Index) recordAt(chunk uint64, p uint16) uint64 { return chunk<<x.shift | uint64(p) }

// remember reads what is kept in memory. That takes as long for a large index as for a
// small one, except for the 4 KiB of times of each chunk.
func (x *Index) remember(ctx context.Context) error {
	x.words, x.sealed, x.tail, x.known = newVocabulary(), nil, nil, newKnown()
	rows, err := x.writer.QueryContext(ctx, "SELECT term, value FROM terms ORDER BY term")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t term
		var value string
		if err := rows.Scan(&t, &value); err != nil {
			return err
		}
		if x.words.add(named{t.kind(), value}) != t {
			return fmt.Errorf("%w: the terms have a gap", postings.ErrDamaged)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if rows, err = x.writer.QueryContext(ctx, "SELECT chunk, times FROM chunks ORDER BY chunk"); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		var c sealedChunk
		if err := rows.Scan(&c.chunk, &raw); err != nil {
			return err
		}
		if c.times, err = postings.DecodeTimes(raw); err != nil {
			return err
		}
		x.sealed = append(x.sealed, c)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := x.writer.QueryRowContext(ctx, "SELECT COALESCE(max(id), 0) FROM incidents").Scan(&x.newest); err != nil {
		return err
	}
	if x.seq, _, err = x.Position(ctx); err != nil || x.seq == 0 {
		return err
	}
	return x.rememberTail(ctx)
}
