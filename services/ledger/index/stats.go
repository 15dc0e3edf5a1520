package index

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// dimensions are what escalations can be counted by.
var dimensions = map[string]extract.Kind{
	"grade": extract.KindGrade, "desk": extract.KindDesk, "sector": extract.KindSector, "region": extract.KindRegion, "statute": extract.KindStatute, "month": extract.KindMonth,
}

// Stats counts escalations as they stand at now.
func (x *Index) Stats(ctx context.Context, q api.StatsQuery, now time.Time) (api.StatsAnswer, error) {
	q.Limit, q.Cursor = 0, ""
	x.mu.RLock()
	p, faults := planOf(x.words, q.Query, identity.Of(ctx).Scope(), now)
	x.mu.RUnlock()
	by, known := dimensions[q.By]
	if !known {
		faults = append(faults, fault.Detail{Path: "$.by", Message: fmt.Sprintf("%q is nothing to count by: want one of %v", q.By, api.StatsDimensions)})
	}
	if faults != nil {
		return api.StatsAnswer{}, fault.Invalid("ledger: stats", faults)
	}
	counts := map[extract.Term]*sums{}
	err := x.ask(ctx, lanes, append(p.moving, extract.FlagOpen, extract.FlagOverdue, extract.FlagAckLate), func(r *reader) error {
		places := r.places(0)
		var mu sync.Mutex // guards counts
		return r.inLanes(len(places), func(l *lane, i int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			part, err := r.in(l).count(&p, places[i], by, now.UnixNano())
			mu.Lock()
			defer mu.Unlock()
			for t, n := range part {
				if counts[t] == nil {
					counts[t] = new(sums)
				}
				for i := range n {
					counts[t][i] += n[i]
				}
			}
			return err
		})
	})
	if err != nil {
		return api.StatsAnswer{}, fmt.Errorf("ledger: stats: %w", err)
	}
	return api.StatsAnswer{Rows: x.statsRows(q.By, counts)}, nil
}

// The indexes of sums; each counts the escalations in one set.
const (
	ofAll = iota
	ofTimed
	ofLate
	ofTargeted
	ofAckLate
	ofOverdue
	ofAcknowledged
	numbers // number of sums
)

type sums [numbers]uint64

func (r *reader) count(p *plan, at place, by extract.Kind, now int64) (counts map[extract.Term]sums, err error) {
	s, _, err := p.fits(r, at)
	if err != nil || s.IsEmpty() {
		return nil, err
	}
	sets, err := r.states(at, s, now)
	if err != nil {
		return nil, err
	}
	counts = map[extract.Term]sums{}
	value := func(t extract.Term, raw []byte) error {
		var n sums
		if err := postings.List(raw).AddCounts(sets[:], n[:]); err != nil {
			return err
		}
		if n[ofAll] > 0 {
			counts[t] = n
		}
		return nil
	}
	if at.tail == nil {
		return counts, r.each(at, by.Term(0), (by + 1).Term(0), value)
	}
	for t, list := range r.lists(by) {
		if err := value(t, postings.EncodeList(list)); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func (r *reader) lists(k extract.Kind) map[extract.Term][]uint16 {
	r.index.mu.RLock()
	defer r.index.mu.RUnlock()
	out := map[extract.Term][]uint16{}
	for t, list := range r.tail.lists {
		if t.Kind() == k {
			out[t] = list
		}
	}
	return out
}

// states returns the sets that are counted, of the escalations in s.
func (r *reader) states(at place, s *postings.Set, now int64) (sets *[numbers]postings.Set, err error) {
	sets = new([numbers]postings.Set)
	for i := range sets {
		sets[i] = *s
	}
	for _, f := range []struct {
		number int
		term   extract.Term
	}{{ofTimed, extract.FlagTimed}, {ofLate, extract.FlagLate}, {ofTargeted, extract.FlagTargeted}, {ofOverdue, extract.FlagOpen}, {ofAckLate, extract.FlagAckLate}} {
		if err := r.and(at, f.term, &sets[f.number]); err != nil {
			return nil, err
		}
	}
	sets[ofAcknowledged].Without(&sets[ofOverdue]) // which are not acknowledged yet
	own := *s
	if err := r.and(at, extract.FlagOwnAct, &own); err != nil {
		return nil, err
	}
	sets[ofAcknowledged].Without(&own)
	if err := r.overdue(at, &sets[ofOverdue], now); err != nil {
		return nil, err
	}
	sets[ofOverdue].And(&sets[ofTargeted])
	sets[ofAckLate].And(&sets[ofTargeted])
	// An unacknowledged one with a target counts once that has passed.
	ended := sets[ofAcknowledged]
	ended.Or(&sets[ofOverdue])
	sets[ofTargeted].And(&ended)
	return sets, nil
}

// statsRows returns the counts with their names: months in order, others with the most
// escalations first.
func (x *Index) statsRows(by string, counts map[extract.Term]*sums) []api.StatsRow {
	rows := []api.StatsRow{}
	for _, t := range slices.Collect(maps.Keys(counts)) {
		n := counts[t]
		rows = append(rows, api.StatsRow{
			By: by, Value: x.nameOf(t), Escalations: n[ofAll], Timed: n[ofTimed], Late: n[ofLate],
			Targeted: n[ofTargeted], AcknowledgedLate: n[ofAckLate], Overdue: n[ofOverdue], Acknowledged: n[ofAcknowledged],
			ReportedInTime:     share(n[ofTimed]-n[ofLate], n[ofTimed]),
			AcknowledgedInTime: share(n[ofTargeted]-n[ofAckLate]-n[ofOverdue], n[ofTargeted]),
		})
	}
	slices.SortFunc(rows, func(a, b api.StatsRow) int {
		if by != "month" {
			if c := cmp.Compare(b.Escalations, a.Escalations); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.Value, b.Value)
	})
	return rows
}

// share returns nil if whole is 0.
func share(part, whole uint64) *float64 {
	if whole == 0 {
		return nil
	}
	f := float64(part) / float64(whole)
	return &f
}
