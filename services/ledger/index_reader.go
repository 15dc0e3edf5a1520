package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// lookup is one of the statements by which questions are answered.
type lookup int

const (
	lookPosition lookup = iota
	lookPostings
	lookRange
	lookTimes
	lookEscalation
	lookTitle // of an escalation
	lookIncidentTitle
	lookRevision
	lookDesks
	lookNamed
	lookIncident
	lookStory
	lookups // how many there are
)

var lookupTexts = [lookups]string{
	lookPosition: "SELECT seq FROM position",
	lookPostings: "SELECT bits FROM postings WHERE chunk = ? AND term = ?",
	lookRange:    "SELECT term, bits FROM postings WHERE chunk = ? AND term >= ? AND term < ?",
	lookTimes:    "SELECT reported_at, acknowledge_by FROM escalations WHERE record = ?",
	lookEscalation: `SELECT e.row, e.acknowledge_by, o.acknowledged, o.acknowledged_at, o.acknowledged_by, o.overdue, o.overdue_at
		FROM escalations AS e LEFT JOIN outcomes AS o ON o.record = e.record WHERE e.record = ?`,
	lookTitle:         "SELECT title FROM escalations WHERE record = ?",
	lookIncidentTitle: "SELECT title FROM revisions WHERE record = ?",
	lookRevision:      "SELECT incident, row FROM revisions WHERE record = ?",
	lookDesks: `SELECT d.desk, d.told, d.closed, COALESCE(c.closing, '') FROM desks AS d LEFT JOIN closings AS c ON c.record = d.closed
		WHERE d.incident = ?`,
	lookNamed:    "SELECT operator, record FROM incidents WHERE incident = ?",
	lookIncident: "SELECT id FROM incidents WHERE incident = ? AND operator = ?",
	lookStory:    "SELECT seq, kind, at FROM story WHERE incident = ? AND seq > ? ORDER BY seq LIMIT ?",
}

// reader answers one question at a time, of what was committed when it began.
type reader struct {
	index    *index
	conn     *sql.Conn
	prepared [lookups]*sql.Stmt

	// Of the question in hand.
	through uint64
	sealed  []sealedChunk
	tail    *tail
	moved   map[term]*set // of the tail, as it was
}

func (x *index) newReader(ctx context.Context) (r *reader, err error) {
	r = &reader{index: x}
	if r.conn, err = x.db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	if _, err = r.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA query_only = 1; PRAGMA cache_size = -%d", readerCache)); err != nil {
		return nil, fmt.Errorf("ledger: index: %w", err)
	}
	for i, text := range lookupTexts {
		if r.prepared[i], err = r.conn.PrepareContext(ctx, text); err != nil {
			return nil, fmt.Errorf("ledger: index: %w", err)
		}
	}
	return r, nil
}

func (r *reader) close() { _ = r.conn.Close() }

// errClosed says that the index is being closed, to be opened again.
var errClosed = fmt.Errorf("%w: it was closed", errNoIndex)

// ask calls answer with a view of what is committed now. Of the terms that move
// it sees those that it names.
func (x *index) ask(ctx context.Context, moving []term, answer func(*reader) error) error {
	var r *reader // nil: one that nobody has needed yet
	var open bool
	select {
	case r, open = <-x.questions:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !open {
		return errClosed
	}
	defer func() { x.questions <- r }()
	if r == nil {
		made, err := x.newReader(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		r = made
	}
	defer func() {
		_, _ = r.conn.ExecContext(context.Background(), "ROLLBACK") // nothing was written
		r.sealed, r.tail, r.moved = nil, nil, nil
	}()
	if err := r.begin(moving); err != nil {
		return fmt.Errorf("ledger: index: %w", err)
	}
	return answer(r)
}

// begin takes SQLite's view and ours of one moment.
func (r *reader) begin(moving []term) error {
	x := r.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, err := r.conn.ExecContext(context.Background(), "BEGIN"); err != nil {
		return err
	}
	if err := r.row(lookPosition).Scan(&r.through); err != nil {
		return err
	}
	r.sealed, r.tail, r.moved = x.sealed, x.tail, map[term]*set{}
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

// row and rows run a lookup. They do not end with a context: the watch over one
// costs as much as a row, and a question looks between two chunks.
func (r *reader) row(l lookup, args ...any) *sql.Row { return r.prepared[l].QueryRow(args...) }

func (r *reader) rows(l lookup, args ...any) (*sql.Rows, error) { return r.prepared[l].Query(args...) }

// place is a chunk in which a question is answered.
type place struct {
	chunk uint64
	times *times
	tail  *tail // nil: the chunk is sealed
}

// places are the chunks from one on.
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

// postings returns those of a term in a sealed chunk, or none.
func (r *reader) postings(at place, t term) (raw []byte, err error) {
	err = r.row(lookPostings, at.chunk, int64(t)).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return raw, err
}

// and leaves in s what has the term.
func (r *reader) and(at place, t term, s *set) error {
	if at.tail != nil {
		var have set
		if err := r.or(at, t, &have); err != nil {
			return err
		}
		s.and(&have)
		return nil
	}
	raw, err := r.postings(at, t)
	if err != nil {
		return err
	}
	return postings(raw).and(s)
}

// or puts into s what has the term.
func (r *reader) or(at place, t term, s *set) error {
	if at.tail == nil {
		raw, err := r.postings(at, t)
		if err != nil {
			return err
		}
		return postings(raw).addTo(s)
	}
	if t.moves() {
		if have := r.moved[t]; have != nil {
			s.or(have)
		}
		return nil
	}
	for _, p := range r.list(t) {
		s.add(p)
	}
	return nil
}

// list returns a list of the tail. What is added to it later does not show.
func (r *reader) list(t term) []uint16 {
	r.index.mu.RLock()
	defer r.index.mu.RUnlock()
	return r.tail.lists[t]
}

// tokens calls yield with the postings of the tokens of some buckets.
func (r *reader) tokens(at place, first, end term, yield func(token uint64, p postings) error) error {
	if at.tail != nil {
		r.index.mu.RLock()
		defer r.index.mu.RUnlock()
		for t := first; t < end; t++ {
			for token, list := range at.tail.text[t] {
				if err := yield(token, encodeList(list)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return r.each(at, first, end, func(_ term, raw []byte) (err error) {
		broken := bucket(raw).each(func(token uint64, p postings) bool {
			err = yield(token, p)
			return err == nil
		})
		return errors.Join(broken, err)
	})
}

// each calls yield with what a sealed chunk has from one term to before another.
func (r *reader) each(at place, first, end term, yield func(t term, raw []byte) error) error {
	rows, err := r.rows(lookRange, at.chunk, int64(first), int64(end))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t int64
		var raw sql.RawBytes
		if err := rows.Scan(&t, &raw); err != nil {
			return err
		}
		if err := yield(term(t), raw); err != nil {
			return err
		}
	}
	return rows.Err()
}

// andToken leaves in s the titles that have a token.
func (r *reader) andToken(at place, k kind, token uint64, s *set) error {
	t := k.term(bucketOf(token))
	if at.tail != nil {
		r.index.mu.RLock()
		list := at.tail.text[t][token]
		r.index.mu.RUnlock()
		var have set
		for _, p := range list {
			have.add(p)
		}
		s.and(&have)
		return nil
	}
	raw, err := r.postings(at, t)
	if err != nil {
		return err
	}
	found, err := bucket(raw).find(token)
	if err != nil {
		return err
	}
	return found.and(s)
}

// andCharacter leaves in s the titles that have a character.
func (r *reader) andCharacter(at place, k kind, c rune, s *set) error {
	var have set
	first := k.term(firstBucket(c))
	err := r.tokens(at, first, first+1<<secondBits, func(token uint64, p postings) error {
		if token&wordToken != 0 || rune(token>>runeBits) != c {
			return nil
		}
		return p.addTo(&have)
	})
	s.and(&have)
	return err
}

// timesOf returns when an escalation was reported, and when it is to be
// acknowledged.
func (r *reader) timesOf(record uint64) (reported int64, by sql.NullInt64, err error) {
	err = r.row(lookTimes, record).Scan(&reported, &by)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: they name record %d, which is no escalation", errPostings, record)
	}
	return reported, by, err
}
