package ledger

import (
	"context"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/ledger/audit"
)

// Bounds of one page of records: a NATS reply is at most 1 MiB, and a body in base64 in a
// line in a JSON string may double in size.
const (
	pageRecords    = 500
	pageRecordSize = 400 << 10
)

// records answers with records as stored in the stream.
func (l *Ledger) records(ctx context.Context, q api.RecordsRequest) (api.RecordsAnswer, error) {
	answer := api.RecordsAnswer{Lines: []string{}}
	if !identity.Of(ctx).Scope().IsAll() {
		return answer, errNotAll
	}
	state, err := l.deps.Bus.State(ctx)
	if err != nil {
		return answer, err
	}
	answer.First, answer.Last = max(1, q.From), state.Last
	if q.To > 0 {
		answer.Last = min(answer.Last, q.To)
	}
	if q.Since != nil {
		since, err := l.deps.Bus.SequenceAt(ctx, *q.Since)
		if err != nil {
			return answer, err
		}
		answer.First = max(answer.First, since)
	}
	if q.Until != nil {
		until, err := l.deps.Bus.SequenceAt(ctx, *q.Until)
		if err != nil {
			return answer, err
		}
		answer.Last = min(answer.Last, until-1)
	}
	if answer.Last < answer.First {
		return answer, nil
	}
	page, err := l.deps.Bus.Page(ctx, answer.First, answer.Last, q.Subjects, pageRecords, pageRecordSize)
	if err != nil {
		return answer, err
	}
	if err := l.recordRangeReading(ctx, page); err != nil {
		return answer, err
	}
	l.log.Verify(page...)
	size, next := 0, answer.First
	for _, s := range page {
		if q.Subjects == nil && next < s.Sequence {
			if err := l.log.VerifyAbsent(ctx, next, min(s.Sequence-1, l.log.Readable())); err != nil {
				return answer, err
			}
		}
		next = s.Sequence + 1
		line := string(audit.RecordOf(s).Line())
		if size += len(line); size > pageRecordSize && len(answer.Lines) > 0 {
			break
		}
		answer.Lines, answer.Next = append(answer.Lines, line), s.Sequence+1
		if _, late := event.WithStoredLateness(s); late && clock.IsMachine(l.deps.Clock) {
			if answer.StoredLate == nil {
				answer.StoredLate = map[uint64]time.Time{}
			}
			answer.StoredLate[s.Sequence] = s.StoredAt
		}
	}
	if answer.Next > answer.Last {
		answer.Next = 0
	}
	if q.Subjects == nil && len(page) == 0 {
		if err := l.log.VerifyAbsent(ctx, answer.First, min(answer.Last, l.log.Readable())); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// prove answers with a proof that a record is in the log, or that the log of an earlier
// size is a prefix of the current one.
func (l *Ledger) prove(ctx context.Context, q api.ProveRequest) (api.ProveAnswer, error) {
	switch {
	case (q.Record == 0) == (q.Size == 0):
		return api.ProveAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "must name a record or a size"}})
	case q.Size > 0:
		return l.log.ProveGrown(ctx, q.Size)
	}
	s, cp, err := l.log.Provable(ctx, q.Record)
	if err != nil {
		return api.ProveAnswer{}, err
	}
	if seen, err := l.maySee(ctx, s.Subject); err != nil || !seen {
		if err == nil {
			err = l.errHidden(ctx, s)
		}
		return api.ProveAnswer{}, err
	}
	if s.Wire == "" {
		return api.ProveAnswer{}, l.log.WhyGone(ctx, q.Record)
	}
	if err := l.recordReadingOf(ctx, s); err != nil {
		return api.ProveAnswer{}, err
	}
	return l.log.ProveRecord(s, cp)
}
