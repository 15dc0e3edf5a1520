package index

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// spot is the place of postings in the file. Its number orders them by chunks.
type spot struct {
	chunk uint64
	term  extract.Term
}

const spotShift = extract.KindShift + 5 // no kind is 1<<5 or more

func (s spot) number() int64 { return int64(s.chunk)<<spotShift | int64(s.term) }

func spotOf(number int64) spot {
	return spot{uint64(number) >> spotShift, extract.Term(number & (1<<spotShift - 1))}
}

// vocabulary has every term that has a name. One goroutine adds to it; others read under
// index.mu.
type vocabulary struct {
	terms map[extract.Named]extract.Term
	names map[extract.Kind][]string // by number
}

func newVocabulary() *vocabulary {
	return &vocabulary{terms: map[extract.Named]extract.Term{}, names: map[extract.Kind][]string{}}
}

func (v *vocabulary) add(n extract.Named) extract.Term {
	t := n.Kind.Term(int64(len(v.names[n.Kind])))
	v.terms[n] = t
	v.names[n.Kind] = append(v.names[n.Kind], n.Value)
	return t
}

// within returns the terms of a kind whose names have a prefix.
func (v *vocabulary) within(k extract.Kind, prefix string) (terms []extract.Term) {
	for i, name := range v.names[k] {
		if strings.HasPrefix(name, prefix) {
			terms = append(terms, k.Term(int64(i)))
		}
	}
	return terms
}

// termsOf returns the permanent terms of an entry, all of which are known.
func (v *vocabulary) termsOf(e *extract.Entry) ([]extract.Term, error) {
	terms := slices.Clone(e.Flags)
	for _, n := range e.Named {
		t, known := v.terms[n]
		if !known {
			return nil, fmt.Errorf("%w: %q has no term", postings.ErrDamaged, n.Value)
		}
		terms = append(terms, t)
	}
	return terms, nil
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
		var t extract.Term
		var value string
		if err := rows.Scan(&t, &value); err != nil {
			return err
		}
		if x.words.add(extract.Named{Kind: t.Kind(), Value: value}) != t {
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
