package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// The index keeps copies of the records, some together, so that one can be read without
// the engine, which loads and indexes a block of 4 MiB for it. Copies are not trusted:
// one is used only if the tree confirms that it is the certified record. A run cut by a
// restart or with a removal in it is not kept: its records are read from the stream.
const (
	copyRun   = 64      // records with consecutive sequences
	copyBytes = 4 << 20 // a longer run is not kept
)

// runOf returns the run that contains a record.
func runOf(record uint64) uint64 { return (record - 1) / copyRun }

// copier packs the records of a run as they are indexed.
type copier struct {
	run     uint64
	packed  []byte
	room    []byte // to compress in, reused: most of the worst-case size is never needed
	begun   bool
	skipped bool // this run is not kept
}

// add returns the run that s completes, compressed, or nil.
func (c *copier) add(s event.Stored) []byte {
	if run := runOf(s.Sequence); run != c.run || !c.begun {
		c.run, c.packed, c.skipped, c.begun = run, c.packed[:0], false, true
	}
	switch {
	case event.ParseSubject(s.Subject).Kind == event.KindRemoved || len(c.packed)+len(s.Data) > copyBytes:
		c.packed, c.skipped = c.packed[:0], true
	case !c.skipped:
		c.packed = appendCopy(c.packed, s)
	}
	if s.Sequence%copyRun != 0 || c.skipped {
		return nil
	}
	c.room = s2.Encode(c.room[:cap(c.room)], c.packed)
	return bytes.Clone(c.room)
}

// appendCopy appends a record: its sequence, the engine's time in nanoseconds, the
// subject, the number of headers, each with the number of its values, and the body.
// Numbers are varints; texts are prefixed with their length. The engine's own headers are
// not part of the record.
func appendCopy(b []byte, s event.Stored) []byte {
	text := func(t string) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	b = binary.AppendUvarint(b, s.Sequence)
	b = binary.AppendVarint(b, s.StoredAt.UnixNano())
	text(s.Wire)
	names := evidence.Names(make([]string, 0, 16), s.Header) // on the stack
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		text(name)
		b = binary.AppendUvarint(b, uint64(len(s.Header[name])))
		for _, value := range s.Header[name] {
			text(value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Data)))
	return append(b, s.Data...)
}

var errNoCopy = errors.New("not a run of copies")

// unpackCopies yields the records of a run. They share its memory.
func unpackCopies(realm event.Realm, compressed []byte, each func(event.Stored)) error {
	if n, err := s2.DecodedLen(compressed); err != nil || n > 2*copyBytes {
		return errNoCopy
	}
	raw, err := s2.Decode(nil, compressed)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoCopy, err)
	}
	for p := (unpacking{rest: raw}); len(p.rest) > 0; {
		sequence, at := p.number(), p.signed()
		wire, header := string(p.bytes()), map[string][]string{}
		for n := p.number(); n > 0 && !p.broken; n-- {
			name := string(p.bytes())
			for values := p.number(); values > 0 && !p.broken; values-- {
				header[name] = append(header[name], string(p.bytes()))
			}
		}
		data := p.bytes()
		if p.broken {
			return errNoCopy
		}
		each(event.ReadStored(realm, wire, header, data, sequence, time.Unix(0, at)))
	}
	return nil
}

type unpacking struct {
	rest   []byte
	broken bool
}

func (p *unpacking) number() uint64 {
	v, n := binary.Uvarint(p.rest)
	p.skip(n)
	return v
}

func (p *unpacking) signed() int64 {
	v, n := binary.Varint(p.rest)
	p.skip(n)
	return v
}

func (p *unpacking) skip(n int) {
	if n <= 0 {
		p.rest, p.broken = nil, true
		return
	}
	p.rest = p.rest[n:]
}

func (p *unpacking) bytes() []byte {
	n := p.number()
	if n > uint64(len(p.rest)) {
		p.rest, p.broken = nil, true
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

// copies returns the copies of records, in the order of seqs. A missing one has only its
// sequence.
func (x *index) copies(ctx context.Context, realm event.Realm, seqs []uint64) ([]event.Stored, error) {
	out := make([]event.Stored, len(seqs))
	places := map[uint64][]int{} // in out, by run
	for i, seq := range seqs {
		out[i].Sequence = seq
		places[runOf(seq)] = append(places[runOf(seq)], i)
	}
	runs := slices.Sorted(maps.Keys(places))
	err := x.ask(ctx, len(runs), nil, func(r *reader) error {
		return r.inLanes(len(runs), func(l *lane, i int) error {
			var compressed []byte
			err := l.row(lookCopies, int64(runs[i])).Scan(&compressed)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			return unpackCopies(realm, compressed, func(s event.Stored) {
				for _, k := range places[runs[i]] {
					if out[k].Sequence == s.Sequence {
						out[k] = s
					}
				}
			})
		})
	})
	return out, err
}
