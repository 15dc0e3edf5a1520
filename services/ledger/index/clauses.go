package index

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
	"github.com/tocsin-project/tocsin/services/ledger/index/title"
)

// clause keeps in a set of records of a chunk those that match it.
type clause func(r *reader, at place, s *postings.Set) error

// plan is a query as clauses, the most selective first.
type plan struct {
	clauses []clause
	moving  []extract.Term // that the clauses need
	words   []string       // to be found in the titles of the matches; nil if the tokens decide
	titles  extract.Kind   // which titles
	after   uint64         // the cursor: only later records match
}

func (p *plan) add(c clause) { p.clauses = append(p.clauses, c) }

// term adds a clause that a record has the term.
func (p *plan) term(t extract.Term) {
	if t.IsMutable() {
		p.moving = append(p.moving, t)
	}
	p.add(func(r *reader, at place, s *postings.Set) error { return r.and(at, t, s) })
}

// any adds a clause that a record has one of the terms.
func (p *plan) any(terms []extract.Term) {
	if len(terms) == 1 {
		p.term(terms[0])
		return
	}
	p.add(func(r *reader, at place, s *postings.Set) error {
		var have postings.Set
		for _, t := range terms {
			if err := r.or(at, t, &have); err != nil {
				return err
			}
		}
		s.And(&have)
		return nil
	})
}

// title adds the clauses for the words of a query.
func (p *plan) title(k extract.Kind, text string, faults *[]fault.Detail) {
	if text == "" {
		return
	}
	words := title.Words(text)
	if len(words) == 0 {
		*faults = append(*faults, fault.Detail{Path: "$.text", Message: "has no letter, digit or character to look for"})
		return
	}
	if !title.Exact(words) {
		p.words, p.titles = words, k
	}
	tokens, characters := title.Lookup(words)
	for _, token := range tokens {
		p.add(func(r *reader, at place, s *postings.Set) error { return r.andToken(at, k, token, s) })
	}
	for _, c := range characters {
		p.add(func(r *reader, at place, s *postings.Set) error { return r.andCharacter(at, k, c, s) })
	}
}

func (p *plan) named(v *extract.Vocabulary, k extract.Kind, value string) {
	if value == "" {
		return
	}
	if t, known := v.Term(extract.Named{Kind: k, Value: value}); known {
		p.term(t)
		return
	}
	p.any(nil) // no record has it
}

// region adds a clause for a GB/T 2260 code and the regions within it.
func (p *plan) region(v *extract.Vocabulary, code string) {
	if code == "" {
		return
	}
	prefix := regionPrefix(code)
	if isArea(prefix) {
		p.named(v, extract.KindArea, prefix)
		return
	}
	p.any(v.Within(extract.KindRegion, prefix))
}

// isArea reports whether a prefix of a code is of a province or a prefecture.
func isArea(prefix string) bool { return len(prefix) == 2 || len(prefix) == 4 }

// regionPrefix returns the part of a GB/T 2260 code that all regions within it share:
// 650000 (a province) covers 650100 (a prefecture).
func regionPrefix(code string) string {
	for len(code) > 2 && strings.HasSuffix(code, "00") {
		code = code[:len(code)-2]
	}
	return code
}

// reported adds clauses for when an escalation was reported: the first drops whole blocks
// before anything is read; the last checks each escalation in the blocks that match in
// part.
func (p *plan) reported(since, until *time.Time) {
	if since == nil && until == nil {
		return
	}
	within := func(at int64) bool {
		return (since == nil || at >= nanoseconds(*since)) && (until == nil || at < nanoseconds(*until))
	}
	coverageOf := func(span postings.Span) coverage {
		switch {
		case span.First > span.Last, since != nil && span.Last < nanoseconds(*since), until != nil && span.First >= nanoseconds(*until):
			return coversNone
		case within(span.First) && within(span.Last):
			return coversAll
		}
		return coversSome
	}
	p.clauses = slices.Insert(p.clauses, 0, func(_ *reader, at place, s *postings.Set) error {
		for b := range postings.Blocks {
			if coverageOf(at.times[b].Reported) == coversNone {
				clear(s.Block(b))
			}
		}
		return nil
	})
	p.add(func(r *reader, at place, s *postings.Set) error {
		return r.perBlock(at, s, func(b int) coverage { return coverageOf(at.times[b].Reported) },
			func(reported int64, _ *int64) bool { return within(reported) })
	})
}

// coverage states which records of a block match.
type coverage int

const (
	coversNone coverage = iota
	coversAll
	coversSome // each has to be checked
)

// perBlock keeps in s the escalations whose times match: whole blocks where coverageOf is
// certain, and otherwise one by one.
func (r *reader) perBlock(at place, s *postings.Set, coverageOf func(block int) coverage, matches func(reported int64, by *int64) bool) error {
	for b := range postings.Blocks {
		part := s.Block(b)
		some := uint64(0)
		for _, w := range part {
			some |= w
		}
		if some == 0 {
			continue
		}
		switch coverageOf(b) {
		case coversNone:
			clear(part)
		case coversSome:
			var one postings.Set
			copy(one.Block(b), part)
			for p := range one.All() {
				reported, by, err := r.timesOf(r.index.recordAt(at.chunk, p))
				if err != nil {
					return err
				}
				s.Put(p, matches(reported, by))
			}
		}
	}
	return nil
}

// overdue keeps in s, which has only unacknowledged escalations, those whose target has
// passed by now.
func (r *reader) overdue(at place, s *postings.Set, now int64) error {
	var known postings.Set
	if err := r.or(at, extract.FlagOverdue, &known); err != nil {
		return err
	}
	known.And(s)
	s.Without(&known)
	err := r.past(at, s, now)
	s.Or(&known)
	return err
}

// past keeps in s the escalations whose target for the desk is before now.
func (r *reader) past(at place, s *postings.Set, now int64) error {
	if err := r.and(at, extract.FlagTargeted, s); err != nil {
		return err
	}
	return r.perBlock(at, s, func(b int) coverage {
		span := at.times[b].By
		switch {
		case span.First > span.Last, span.First >= now:
			return coversNone
		case span.Last < now:
			return coversAll
		}
		return coversSome
	}, func(_ int64, by *int64) bool { return by != nil && *by < now })
}

// newPlan returns a plan that begins after a cursor, the grade of its query, and their
// faults.
func newPlan(cursor, name string) (p plan, grade event.Grade, faults []fault.Detail) {
	after, err := ParseCursor(cursor)
	if err != nil {
		faults = append(faults, fault.Detail{Path: "$.cursor", Message: err.Error()})
	}
	p.after = after
	grade, err = event.ParseGrade(name)
	if err != nil && name != "" {
		faults = append(faults, fault.Detail{Path: "$.grade", Message: err.Error()})
	}
	return p, grade, faults
}

// planOf turns a query for escalations into clauses, limited to what the caller may see,
// or returns all its faults. Selective clauses come first, those that read rows last.
func planOf(v *extract.Vocabulary, q api.Query, s identity.Scope, now time.Time) (plan, []fault.Detail) {
	p, grade, faults := newPlan(q.Cursor, q.Grade)
	if q.Unacknowledged || q.Overdue {
		p.term(extract.FlagOpen)
	}
	p.title(extract.KindTitle, q.Text, &faults)
	p.named(v, extract.KindDesk, q.Desk)
	p.named(v, extract.KindOperator, q.Operator)
	p.region(v, q.Region)
	p.named(v, extract.KindStatute, q.Statute)
	p.named(v, extract.KindSector, q.Sector)
	if q.Grade != "" {
		p.named(v, extract.KindGrade, grade.String())
	}
	p.scope(v, s)
	if len(p.clauses) == 0 {
		p.term(extract.FlagEscalation)
	}
	p.reported(q.Since, q.Until)
	if q.Overdue {
		p.moving = append(p.moving, extract.FlagOverdue)
		p.add(func(r *reader, at place, s *postings.Set) error { return r.overdue(at, s, now.UnixNano()) })
	}
	return p, faults
}

// narrow keeps in s the records of a chunk that match every clause.
func (p *plan) narrow(r *reader, at place, s *postings.Set) error {
	for _, c := range p.clauses {
		if err := c(r, at, s); err != nil {
			return err
		}
		if s.IsEmpty() {
			return nil
		}
	}
	return nil
}

// start returns every position of a chunk that a query may match.
func (p *plan) start(r *reader, at place) *postings.Set {
	x := r.index
	first, last := 0, 1<<x.shift-1
	if after := p.after + 1; x.chunkOf(after) == at.chunk {
		first = int(x.positionOf(after))
	}
	if x.chunkOf(r.through) == at.chunk {
		last = int(x.positionOf(r.through))
	}
	s := new(postings.Set)
	s.Fill(first, last)
	return s
}

// each calls yield with every matching record, in ledger order, until it returns false.
// Once it has spent titles on reading titles it stops at the next chunk, and returns the
// last record that it covered.
func (p *plan) each(ctx context.Context, r *reader, titles int, yield func(record uint64) (bool, error)) (behind uint64, err error) {
	places := r.places(r.index.chunkOf(p.after + 1))
	for n := 1; len(places) > 0; n = len(r.lanes) { // the first chunk often has enough
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		some := places[:min(n, len(places))]
		places = places[len(some):]
		sets, costs := make([]*postings.Set, len(some)), make([]int, len(some))
		err := r.inLanes(len(some), func(l *lane, i int) (err error) {
			sets[i], costs[i], err = p.fits(r.in(l), some[i])
			return err
		})
		if err != nil {
			return 0, err
		}
		for i, at := range some {
			if titles <= 0 {
				return r.index.recordAt(at.chunk, 0) - 1, nil
			}
			titles -= costs[i]
			for pos := range sets[i].All() {
				if on, err := yield(r.index.recordAt(at.chunk, pos)); err != nil || !on {
					return 0, err
				}
			}
		}
	}
	return 0, nil
}

// fits returns the matches of a chunk, and the cost of reading titles for them.
func (p *plan) fits(r *reader, at place) (s *postings.Set, titles int, err error) {
	s = p.start(r, at)
	if err := p.narrow(r, at, s); err != nil {
		return nil, 0, err
	}
	titles, err = r.verify(p, at, s)
	return s, titles, err
}

// nanoseconds returns the nanoseconds since 1970, clamped to the range of int64: outside
// the years 1678 to 2262 there are no records.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
