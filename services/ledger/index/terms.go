package index

import (
	"context"
	"fmt"

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

// chunkOf and positionOf return the place of a record; recordAt is the inverse.
func (x *Index) chunkOf(record uint64) uint64 { return record >> x.shift }

func (x *Index) positionOf(record uint64) uint16 { return uint16(record & (1<<x.shift - 1)) }

func (x *Index) recordAt(chunk uint64, p uint16) uint64 { return chunk<<x.shift | uint64(p) }

// loadMemory reads what is kept in memory. That takes as long for a large index as for a
// small one, except for the 4 KiB of times of each chunk.
func (x *Index) loadMemory(ctx context.Context) error {
	x.words, x.sealed, x.tail, x.known = extract.NewVocabulary(), nil, nil, known{}
	rows, err := x.writer.QueryContext(ctx, "SELECT term, value FROM terms ORDER BY term")
	if err != nil {
		return err
	}
	err = eachRow(rows, func() error {
		var t extract.Term
		var value string
		if err := rows.Scan(&t, &value); err != nil {
			return err
		}
		if x.words.Add(extract.Named{Kind: t.Kind(), Value: value}) != t {
			return fmt.Errorf("%w: the terms have a gap", postings.ErrDamaged)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rows, err = x.writer.QueryContext(ctx, "SELECT chunk, times FROM chunks ORDER BY chunk"); err != nil {
		return err
	}
	err = eachRow(rows, func() error {
		var raw []byte
		var c sealedChunk
		err := rows.Scan(&c.chunk, &raw)
		if err == nil {
			c.times, err = postings.DecodeTimes(raw)
		}
		x.sealed = append(x.sealed, c)
		return err
	})
	if err != nil {
		return err
	}
	if err := x.writer.QueryRowContext(ctx, "SELECT COALESCE(max(id), 0) FROM incidents").Scan(&x.newest); err != nil {
		return err
	}
	if x.seq, _, err = x.Position(ctx); err != nil || x.seq == 0 {
		return err
	}
	return x.loadTail(ctx)
}
