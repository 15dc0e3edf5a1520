// Package ledger answers what a regulator asks of the record: which desk was
// told what, when and under which article, how every incident stands, and the
// whole story of one.
//
// It reads every record in ledger order into an index (SQLite) that is a
// projection of the stream and nothing more: its position is committed with its
// rows, and an index that is missing, of another version or of another ledger
// is made again. Bodies are read from the stream itself. An answer covers every
// record that was stored before the question, or says how far it goes.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Name of the service.
const Name = "ledger"

const (
	inHand      = 256
	patience    = 2 * time.Second // how long a question waits for the index to catch up
	clockAlarm  = time.Second     // between our stamp and the engine's (design: the record)
	progressLog = 100_000         // records between two progress lines
)

// Deps are what the service works with.
type Deps struct {
	Bus   *bus.Bus
	Clock clock.Clock
	Log   *zap.Logger
	Dir   string // of the index
	// Exercise marks the incidents of a drill. The bus shows no others then.
	Exercise bool
}

// Run indexes and answers until ctx ends. An index that turns out to be damaged
// is made again from the stream: it must not stop anything.
func Run(ctx context.Context, d Deps) error {
	for {
		err := run(ctx, d)
		if !isDamaged(err) || ctx.Err() != nil {
			return err
		}
		d.Log.Error("the index is damaged; it is made again from the ledger", zap.Error(err))
		if err := discardIndex(d.Dir); err != nil {
			return err
		}
	}
}

func run(ctx context.Context, d Deps) error {
	x, err := openIndex(ctx, d.Dir)
	if err != nil {
		return err
	}
	defer x.close() //nolint:errcheck // a projection: nothing is lost
	s := &service{deps: d, index: x, reached: make(chan struct{}), damage: make(chan error, 1)}
	if s.through, err = s.start(ctx); err != nil {
		return err
	}
	if s.head, err = d.Bus.Head(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.Bus.Tail(ctx, s.through+1, nil, s.add) })
	g.Go(func() error {
		return d.Bus.Serve(ctx, Name,
			bus.Door{Name: "escalations", Subject: event.DoorQuery, Limit: inHand, Answer: s.answerQuery},
			bus.Door{Name: "incident", Subject: event.DoorShow, Limit: inHand, Answer: s.answerShow},
			bus.Door{Name: "incidents", Subject: event.DoorIncidents, Limit: inHand, Answer: s.answerIncidents},
		)
	})
	g.Go(func() error {
		select {
		case err := <-s.damage:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g.Wait()
}

type service struct {
	deps   Deps
	index  *index
	damage chan error // what a query found wrong with the index
	head   uint64     // the last record there was when we began

	mu      sync.Mutex
	through uint64        // the last record indexed
	reached chan struct{} // closed and replaced whenever through grows
}

// report hands damage to Run and returns the error.
func (s *service) report(err error) error {
	if isDamaged(err) {
		select {
		case s.damage <- err:
		default: // it is known
		}
	}
	return err
}

// start returns where the index stands, having discarded one that is not of
// this ledger.
func (s *service) start(ctx context.Context) (uint64, error) {
	seq, salt, err := s.index.position(ctx)
	if err != nil || seq == 0 {
		return 0, err
	}
	at, err := s.deps.Bus.Get(ctx, seq)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return 0, err
	}
	if err == nil && at.Salt == salt {
		return seq, nil
	}
	s.deps.Log.Error("the index is of another ledger, or of a longer one; it is made again", zap.Uint64("position", seq))
	return 0, s.index.reset(ctx)
}

// add indexes a batch of records.
func (s *service) add(ctx context.Context, batch []event.Stored) error {
	unreadable, err := s.index.apply(ctx, batch)
	if err != nil {
		return err
	}
	for _, err := range unreadable {
		s.deps.Log.Error("a record cannot be read; it is in the story of its incident, not among the escalations", zap.Error(err))
	}
	for _, r := range batch {
		if off, known := s.off(r); known && off.Abs() > clockAlarm {
			s.deps.Log.Error("our clock and the engine's disagree", zap.Uint64("record", r.Sequence), zap.Duration("by", off))
		}
	}
	last := batch[len(batch)-1].Sequence
	s.mu.Lock()
	defer s.mu.Unlock()
	if last/progressLog > s.through/progressLog {
		s.deps.Log.Info("indexing", zap.Uint64("through", last))
	}
	s.through = last
	close(s.reached)
	s.reached = make(chan struct{})
	return nil
}

// off is by how much the engine stored a record later than it was stamped, by the
// machine's clock, which a drill's may be far ahead of. Of a drill's records that
// were stored before we ran nobody knows how fast its clock was then.
func (s *service) off(r event.Stored) (off time.Duration, known bool) {
	if r.Time.IsZero() || s.deps.Exercise && r.Sequence <= s.head {
		return 0, false
	}
	return r.StoredAt.Sub(clock.Wall(s.deps.Clock, r.Time)), true
}

// caughtUp waits until the index holds every record that is stored now, for as
// long as patience lasts, and returns how far it goes.
func (s *service) caughtUp(ctx context.Context) (uint64, error) {
	head, err := s.deps.Bus.Head(ctx)
	if err != nil {
		return 0, err
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	for {
		s.mu.Lock()
		through, reached := s.through, s.reached
		s.mu.Unlock()
		if through >= head {
			return through, nil
		}
		select {
		case <-reached:
		case <-wait.C:
			return through, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (s *service) answerQuery(ctx context.Context, req bus.Request) (any, error) {
	answer, err := s.query(ctx, req.Data)
	if details := fault.DetailsOf(err); details != nil {
		answer, err = event.QueryAnswer{Errors: details}, nil
	}
	return answer, err
}

func (s *service) query(ctx context.Context, raw []byte) (event.QueryAnswer, error) {
	var q event.Query
	if err := json.Unmarshal(raw, &q); err != nil {
		return event.QueryAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "is not a query: " + err.Error()}})
	}
	through, err := s.caughtUp(ctx)
	if err != nil {
		return event.QueryAnswer{}, err
	}
	answer, err := s.index.query(ctx, q, s.deps.Clock.Now())
	answer.Through = through
	return answer, s.report(err)
}

func (s *service) answerIncidents(ctx context.Context, req bus.Request) (any, error) {
	answer, err := s.incidents(ctx, req.Data)
	if details := fault.DetailsOf(err); details != nil {
		answer, err = event.IncidentAnswer{Errors: details}, nil
	}
	return answer, err
}

func (s *service) incidents(ctx context.Context, raw []byte) (event.IncidentAnswer, error) {
	var q event.IncidentQuery
	if err := json.Unmarshal(raw, &q); err != nil {
		return event.IncidentAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "is not a query: " + err.Error()}})
	}
	through, err := s.caughtUp(ctx)
	if err != nil {
		return event.IncidentAnswer{}, err
	}
	answer, err := s.index.incidents(ctx, q)
	answer.Through, answer.Now = through, s.deps.Clock.Now()
	for i := range answer.Rows {
		answer.Rows[i].Exercise = s.deps.Exercise
	}
	return answer, s.report(err)
}

func (s *service) answerShow(ctx context.Context, req bus.Request) (any, error) {
	answer, err := s.show(ctx, req.Data)
	if details := fault.DetailsOf(err); details != nil {
		answer, err = event.ShowAnswer{Errors: details}, nil
	}
	return answer, err
}

// show reads the next part of an incident's story.
func (s *service) show(ctx context.Context, raw []byte) (event.ShowAnswer, error) {
	var req event.ShowRequest
	if err := json.Unmarshal(raw, &req); err != nil || req.Operator == "" || req.Incident == "" {
		return event.ShowAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "must name an operator and an incident"}})
	}
	through, err := s.caughtUp(ctx)
	if err != nil {
		return event.ShowAnswer{}, err
	}
	answer := event.ShowAnswer{Through: through, Entries: []event.StoryEntry{}}
	entries, err := s.index.entries(ctx, req)
	if err != nil {
		return answer, s.report(err)
	}
	bytes := 0
	for _, e := range entries {
		stored, err := s.deps.Bus.Get(ctx, e.Record)
		if errors.Is(err, bus.ErrNotFound) {
			stored.Data = []byte(`{"missing":true}`) // the rest of the story is told all the same
		} else if err != nil {
			return answer, err
		}
		if bytes += len(stored.Data); bytes > pageBytes && len(answer.Entries) > 0 {
			answer.More = true
			return answer, nil
		}
		if e.Body = stored.Data; !json.Valid(e.Body) {
			if e.Body, err = json.Marshal(map[string][]byte{"unreadable": stored.Data}); err != nil {
				return answer, err
			}
		}
		answer.Entries = append(answer.Entries, e)
	}
	answer.More = len(entries) == pageRows
	return answer, nil
}
