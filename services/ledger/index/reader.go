package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// lookup is one of the prepared statements by which queries are answered.
type lookup int

const (
	lookBegin lookup = iota
	lookEnd
	lookPosition
	lookPostings
	lookRange
	lookTimes
	lookEscalation
	lookEscalationRow
	lookRevision
	lookDesks
	lookNamed
	lookIncident
	lookStory
	lookups // number of lookups
)

var lookupTexts = [lookups]string{
	lookBegin:    "BEGIN",
	lookEnd:      "ROLLBACK", // nothing was written
	lookPosition: "SELECT seq FROM position",
	lookPostings: "SELECT bits FROM postings WHERE spot = ?",
	lookRange:    "SELECT spot, bits FROM postings WHERE spot >= ? AND spot < ?",
	lookTimes:    "SELECT reported_at, acknowledge_by FROM escalations WHERE record = ?",
	lookEscalation: `SELECT e.row, e.acknowledge_by, o.acknowledged, o.acknowledged_at, o.acknowledged_by, o.overdue, o.overdue_at
		FROM escalations AS e LEFT JOIN outcomes AS o ON o.record = e.record WHERE e.record = ?`,
	lookEscalationRow: "SELECT row FROM escalations WHERE record = ?",
	lookRevision:      "SELECT incident, row FROM revisions WHERE record = ?",
	lookDesks: `SELECT d.desk, d.told, d.closed, COALESCE(c.closing, '') FROM desks AS d LEFT JOIN closings AS c ON c.record = d.closed
		WHERE d.incident = ?`,
	lookNamed:    "SELECT operator, record FROM incidents WHERE incident = ?",
	lookIncident: "SELECT id FROM incidents WHERE incident = ? AND operator = ?",
	lookStory:    "SELECT seq, kind, at FROM story WHERE incident = ? AND seq > ? ORDER BY seq LIMIT ?",
}

type lane struct {
	index    *Index
	conn     *sql.Conn
	prepared [lookups]*sql.Stmt
}

// reader answers one query at a time, from what was committed when it began.
type reader struct {
	*lane         // the first
	all   []*lane // its connections

	// Of the current query.
	lanes   []*lane // those in use, including the first; they see the same snapshot
	through uint64
	epoch   uint64 // of the cache
	sealed  []sealedChunk
	tail    *tail
	moved   map[extract.Term]*postings.Set // of the tail, copied
}

func (x *Index) newReader(ctx context.Context) (r *reader, err error) {
	r = &reader{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	for range lanes {
		l := &lane{index: x}
		if l.conn, err = x.db.Conn(ctx); err != nil {
			return r, fmt.Errorf("ledger: index: %w", err)
		}
		r.all = append(r.all, l)
		if _, err = l.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA query_only = 1; PRAGMA cache_size = -%d", laneCache)); err != nil {
			return r, fmt.Errorf("ledger: index: %w", err)
		}
		for i, text := range lookupTexts {
			if l.prepared[i], err = l.conn.PrepareContext(ctx, text); err != nil {
				return r, fmt.Errorf("ledger: index: %w", err)
			}
		}
	}
	r.lane = r.all[0]
	return r, nil
}

func (r *reader) close() {
	for _, l := range r.all {
		release(l.conn, l.prepared[:])
	}
}

// inLanes calls do for every number below n, several concurrently, so that reads from the
// disk overlap.
func (r *reader) inLanes(n int, do func(l *lane, i int) error) error {
	var next atomic.Int64
	var g errgroup.Group
	for _, l := range r.lanes[:min(len(r.lanes), n)] {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(l, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// in returns the reader, reading through a lane.
func (r *reader) in(l *lane) *reader {
	mine := *r
	mine.lane = l
	return &mine
}

// ErrClosed is returned while the index is being closed, to be opened again.
var ErrClosed = errors.New("the index was closed")

// ask calls answer with a snapshot of what is committed now, over up to so many lanes. Of
// the terms that can change, the snapshot has those in moving.
func (x *Index) ask(ctx context.Context, lanes int, moving []extract.Term, answer func(*reader) error) (err error) {
	select {
	case _, open := <-x.slots:
		if !open {
			return ErrClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { x.slots <- struct{}{} }()
	r := x.idle.take()
	if r == nil {
		if r, err = x.newReader(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	if err := r.begin(max(1, min(lanes, len(r.all))), moving); err != nil {
		r.end()
		r.close() // the next query makes a new one
		return fmt.Errorf("ledger: index: %w", err)
	}
	defer x.idle.put(r)
	defer r.end()
	return answer(r)
}

// shelf holds idle readers. The one put back last is taken first: its cache is warm.
type shelf struct {
	mu      sync.Mutex
	readers []*reader
}

func (s *shelf) take() (r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.readers); n > 0 {
		r, s.readers = s.readers[n-1], s.readers[:n-1]
	}
	return r
}

func (s *shelf) put(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = append(s.readers, r)
}

// begin takes a snapshot of SQLite and of the memory at the same moment.
func (r *reader) begin(lanes int, moving []extract.Term) error {
	x := r.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, l := range r.all[:lanes] {
		if _, err := l.prepared[lookBegin].Exec(); err != nil {
			return err
		}
		r.lanes = append(r.lanes, l)
		if err := l.row(lookPosition).Scan(&r.through); err != nil { // SQLite's snapshot begins with the first read
			return err
		}
	}
	r.epoch, r.sealed, r.tail, r.moved = x.cache.now(), x.sealed, x.tail, map[extract.Term]*postings.Set{}
	if x.tail == nil {
		return nil
	}
	for _, t := range moving {
		if s := x.tail.moved[t]; s != nil {
			mine := *s
			r.moved[t] = &mine
		}
	}
	return nil
}

func (r *reader) end() {
	for _, l := range r.lanes {
		_, _ = l.prepared[lookEnd].Exec()
	}
	r.lanes, r.sealed, r.tail, r.moved = nil, nil, nil, nil
}

// row and rows run a lookup. They take no context: watching one costs as much as a row,
// and a query checks it between two chunks.
func (l *lane) row(look lookup, args ...any) *sql.Row { return l.prepared[look].QueryRow(args...) }

func (l *lane) rows(look lookup, args ...any) (*sql.Rows, error) {
	return l.prepared[look].Query(args...)
}

// eachRow calls scan for each row of a result, and closes the result.
func eachRow(rows *sql.Rows, scan func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// place is a chunk that a query reads.
type place struct {
	chunk uint64
	times *postings.Times
	tail  *tail // nil: the chunk is sealed
}

func (r *reader) places(from uint64) (out []place) {
	for _, c := range r.sealed {
		if c.chunk >= from {
			out = append(out, place{chunk: c.chunk, times: c.times})
		}
	}
	if r.tail != nil && r.tail.chunk >= from {
		r.index.mu.RLock()
		mine := *r.tail.times
		r.index.mu.RUnlock()
		out = append(out, place{chunk: r.tail.chunk, times: &mine, tail: r.tail})
	}
	return out
}

// stored returns the postings of a term in a sealed chunk, or none.
func (r *reader) stored(at place, t extract.Term) (raw []byte, err error) {
	number := spot{at.chunk, t}.number()
	if raw, known := r.index.cache.get(r.epoch, number); known {
		return raw, nil
	}
	err = r.row(lookPostings, number).Scan(&raw)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	r.index.cache.put(r.epoch, number, raw)
	return raw, nil
}

// and keeps in s the positions that have the term.
func (r *reader) and(at place, t extract.Term, s *postings.Set) error {
	if at.tail != nil {
		var have postings.Set
		if err := r.or(at, t, &have); err != nil {
			return err
		}
		s.And(&have)
		return nil
	}
	raw, err := r.stored(at, t)
	if err != nil {
		return err
	}
	return postings.List(raw).And(s)
}

// or adds to s the positions that have the term.
func (r *reader) or(at place, t extract.Term, s *postings.Set) error {
	if at.tail == nil {
		raw, err := r.stored(at, t)
		if err != nil {
			return err
		}
		return postings.List(raw).AddTo(s)
	}
	if t.IsMutable() {
		if have := r.moved[t]; have != nil {
			s.Or(have)
		}
		return nil
	}
	for _, p := range r.list(t) {
		s.Add(p)
	}
	return nil
}

// list returns a list of the tail. Later additions to it do not show.
func (r *reader) list(t extract.Term) []uint16 {
	r.index.mu.RLock()
	defer r.index.mu.RUnlock()
	return r.tail.lists[t]
}

// each calls yield with the postings of a sealed chunk from term first to before end.
func (r *reader) each(at place, first, end extract.Term, yield func(t extract.Term, raw []byte) error) error {
	rows, err := r.rows(lookRange, spot{at.chunk, first}.number(), spot{at.chunk, end}.number())
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var number int64
		var raw sql.RawBytes
		if err := rows.Scan(&number, &raw); err != nil {
			return err
		}
		return yield(spotOf(number).term, raw)
	})
}

// timesOf returns when an escalation was reported, and its target for acknowledgement.
func (r *reader) timesOf(record uint64) (reported int64, by *int64, err error) {
	err = r.row(lookTimes, record).Scan(&reported, &by)
	return reported, by, noRow(err, record)
}
