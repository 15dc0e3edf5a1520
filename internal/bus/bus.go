// Package bus carries records between the services over NATS JetStream.
//
// What it guarantees:
//   - Commit is the only way to write. When it returns without an error, every
//     record is on disk in its stream (SyncAlways), or was stored before. It
//     returns within seconds, whatever the engine does.
//   - A record's subject is its identity: the engine stores one record per
//     subject, ever. A second writer gets the first record back.
//   - Tail and Follow deliver records in ledger order, each at least once. A
//     record that a handler cannot handle is retried after growing pauses and
//     then recorded as needing a person; later records do not wait for it.
//   - A timer, a record with a Due, comes due once Commit has returned, also
//     after a restart. FollowTimers delivers it at least once and never before
//     its time by the bus's clock.
//   - Records that a record has Beside it are stored in the same atomic batch or
//     left to the service that follows it.
//   - There is back-pressure: Commit waits while its stream's queue is full, a
//     follower has one batch on its way and takes no more records than it can
//     hold, and Backlog says how far the services are behind, by which package
//     endpoint admits requests.
//   - A Bus works in one realm. Its users see plain subjects and cannot name
//     anything of the other realm.
//   - Positions are hints that may lag: after a crash a handler sees a record
//     again and must produce the same result, which deterministic subjects
//     ensure.
//
// What not to assume: that two records of one Commit are stored together, that a
// record just read is the last of its incident, or that all records of an atomic
// batch are there after a loss of power (natsd stages batches in memory).
//
// Reading uses ordered consumers that start at a stored position, not durable
// consumers with acknowledgements: a crash loses those, they then stall for
// AckWait, and on redelivery they deliver later records of an incident before
// earlier ones. In order, two instances of one service may even run at once:
// both derive the same records, and the first one stored counts.
package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus/agenda"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Config configures Open.
type Config struct {
	Realm event.Realm
	Clock clock.Clock // decides when timers come due; the engine uses the machine's
	Log   *zap.Logger
	// Pauses are the waits between tries of a record that a handler could not handle;
	// after the last try it is recorded as needing a person. Nil means DefaultPauses.
	Pauses []time.Duration
	// Engine is the embedded server, if nc is connected to it.
	Engine Engine
	// Unverified means that it could not be verified that the server syncs every write.
	Unverified bool
	// Connect opens a separate connection for one service's requests and answers, so that
	// a flood of requests delays neither another service nor the writers. Nil means the
	// connection of the streams.
	Connect func() (*nats.Conn, error)
}

// DefaultPauses add up to about six seconds: long enough for a passing fault, short
// compared with the shortest time limit in the law.
var DefaultPauses = []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}

// Bus is a connection to the streams. It is safe for use by several goroutines.
type Bus struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	ledger     jetstream.Stream
	timers     jetstream.Stream
	cfg        Config
	positions  jetstream.KeyValue
	writers    map[string]*writer // by stream
	life       context.Context    // ends with Close
	stop       context.CancelFunc
	readers    sync.WaitGroup
	feedMu     sync.Mutex
	feed       atomic.Pointer[feed]          // nil before the first reader
	agenda     atomic.Pointer[agenda.Agenda] // nil if nobody follows the timers
	following  sync.Map                      // the followers' *progress
	beside     beside
	connsMu    sync.Mutex
	conns      []*nats.Conn // opened by Config.Connect
	heartbeats heartbeats
	probe      probe
	frozen     sync.Map // why the ledger is frozen, by the log that froze it

	commitWait time.Duration // bounds Commit
	progressed chan struct{} // gets a signal when a follower makes progress; buffered for one
}

// Open prepares the streams on the connection and starts the writers. It refuses existing
// streams that differ from what the guarantees need. The caller closes the connection
// after Close.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Bus, error) {
	if cfg.Pauses == nil {
		cfg.Pauses = DefaultPauses
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(tryTimeout))
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	b := &Bus{nc: nc, js: js, cfg: cfg, writers: map[string]*writer{}, commitWait: defaultCommitWait, progressed: make(chan struct{}, 1)}
	for _, sc := range streams(cfg.Realm) {
		if err := ensureStream(ctx, js, sc); err != nil {
			return nil, err
		}
	}
	if b.ledger, err = js.Stream(ctx, cfg.Realm.Stream(event.StreamLedger)); err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	if b.timers, err = js.Stream(ctx, cfg.Realm.Stream(event.StreamTimers)); err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	b.positions, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: cfg.Realm.Stream("POSITIONS"), Description: "where each service reads on from; a hint",
	})
	if err != nil {
		return nil, fmt.Errorf("bus: positions: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	b.life, b.stop = run, stop
	if err := b.watchFreezes(run); err != nil {
		stop()
		return nil, err
	}
	for _, name := range []string{event.StreamLedger, event.StreamRejected, event.StreamTimers} {
		w := &writer{js: js, room: b.roomFor, stream: cfg.Realm.Stream(name), realm: cfg.Realm, queue: make(chan *pending, queueLength), done: make(chan struct{})}
		w.log = cfg.Log.With(zap.String("stream", w.stream))
		if w.feed = b.feed.Load; name != event.StreamLedger {
			w.feed = func() *feed { return nil }
		}
		if w.agenda = b.agenda.Load; name != event.StreamTimers {
			w.agenda = func() *agenda.Agenda { return nil }
		}
		if cfg.Engine != nil {
			w.unstage = func() { cfg.Engine.Unstage(w.stream) }
			w.inMemory.Store(cfg.Engine.Stage(w.stream))
		}
		b.writers[name] = w
		go w.run(run)
	}
	return b, nil
}

// Close stops the writers; records not yet stored get an error. It may be called twice.
func (b *Bus) Close() {
	b.stop()
	for _, w := range b.writers {
		<-w.done
	}
	b.readers.Wait()
	b.connsMu.Lock()
	defer b.connsMu.Unlock()
	for _, nc := range b.conns {
		nc.Close()
	}
	b.conns = nil
}

// Realm returns the realm of the bus's records.
func (b *Bus) Realm() event.Realm { return b.cfg.Realm }

// Durability returns "unverified" if it could not be verified that writes are synced,
// else "".
func (b *Bus) Durability() string {
	if b.cfg.Unverified {
		return "unverified"
	}
	return ""
}

// Frozen is the error of writing to a ledger that is frozen until a person has intervened
// (Freeze). Its text goes to the sender.
type Frozen string

func (f Frozen) Error() string { return string(f) }

// ErrUnavailable means that the engine did not answer; the outcome of the request is
// unknown. A handler that returns it is called again until the engine answers.
var ErrUnavailable = errors.New("the engine does not answer")

// engineError wraps an error in ErrUnavailable if the engine did not answer, or if a
// stream is missing, which may be restored. Errors in which the engine refuses something
// pass unchanged.
func engineError(err error) error {
	var api *jetstream.APIError
	for _, away := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound, context.DeadlineExceeded,
	} {
		if errors.Is(err, away) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	if errors.As(err, &api) && api.Code == 503 {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// ErrNotFound means that no record has the subject or sequence asked for.
var ErrNotFound = errors.New("no such record")

// Last returns the last ledger record of a subject, which may end in a
// wildcard, or ErrNotFound.
func (b *Bus) Last(ctx context.Context, subject string) (event.Stored, error) {
	return b.stored(retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return b.ledger.GetLastMsgForSubject(ctx, b.cfg.Realm.Wire(subject))
	}))
}

// First returns the first ledger record of a subject, which may end in a
// wildcard, or ErrNotFound.
func (b *Bus) First(ctx context.Context, subject string) (event.Stored, error) {
	return b.first(ctx, 1, subject)
}

// first returns the first ledger record of a subject from a sequence on.
func (b *Bus) first(ctx context.Context, seq uint64, subject string) (event.Stored, error) {
	return b.stored(retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return b.ledger.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(b.cfg.Realm.Wire(subject)))
	}))
}

// Get returns the ledger record with a sequence, or ErrNotFound.
func (b *Bus) Get(ctx context.Context, seq uint64) (event.Stored, error) {
	return b.stored(retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return b.ledger.GetMsg(ctx, seq) }))
}

// Head returns the sequence of the last ledger record.
func (b *Bus) Head(ctx context.Context) (uint64, error) {
	info, err := retry(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) { return b.ledger.Info(ctx) })
	if err != nil {
		return 0, fmt.Errorf("bus: head: %w", engineError(err))
	}
	return info.State.LastSeq, nil
}

func (b *Bus) stored(m *jetstream.RawStreamMsg, err error) (event.Stored, error) {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return event.Stored{}, ErrNotFound
	}
	if err != nil {
		return event.Stored{}, fmt.Errorf("bus: read: %w", engineError(err))
	}
	return event.ReadStored(b.cfg.Realm, m.Subject, m.Header, m.Data, m.Sequence, m.Time), nil
}

// TimerCount returns how many timers are set, or due and not handled yet.
func (b *Bus) TimerCount(ctx context.Context) (uint64, error) {
	info, err := b.timers.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bus: clocks: %w", err)
	}
	return info.State.Msgs, nil
}

// readTries are the timeouts of the tries of one read. A lost answer costs the first; the
// last allows for a slow disk.
var readTries = []time.Duration{tryTimeout, tryTimeout, 5 * time.Second}

// retry repeats a request to the engine while it times out. The request must be
// idempotent.
func retry[T any](ctx context.Context, ask func(context.Context) (T, error)) (answer T, err error) {
	for _, timeout := range readTries {
		try, cancel := context.WithTimeout(ctx, timeout)
		answer, err = ask(try)
		cancel()
		if ctx.Err() != nil || !isTimeout(err) {
			return answer, err
		}
	}
	return answer, errors.Join(ErrUnavailable, err)
}

// ClockSkew returns how far the engine's clock is ahead of the machine's time by the
// bus's clock. It compares the engine's timestamp with the times before and after one
// request, so how long records wait to be written does not matter. It is 0 if the
// timestamp lies between them.
func (b *Bus) ClockSkew(ctx context.Context) (time.Duration, error) {
	before := b.machineNow()
	info, err := b.ledger.Info(ctx)
	after := b.machineNow()
	if err != nil {
		return 0, fmt.Errorf("bus: time of the engine: %w", engineError(err))
	}
	switch at := info.TimeStamp; {
	case at.Before(before):
		return at.Sub(before), nil
	case at.After(after):
		return at.Sub(after), nil
	}
	return 0, nil
}

// machineNow returns the machine's time by the bus's clock; a drill's clock may be far
// ahead of it.
func (b *Bus) machineNow() time.Time { return clock.Wall(b.cfg.Clock, b.cfg.Clock.Now()) }
