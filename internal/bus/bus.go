// Package bus carries records between the services over NATS JetStream.
//
// What it guarantees:
//   - Commit is the only way to write. When it returns without an error, every
//     record is on disk in its stream (SyncAlways), or stood there before. It returns
//     within some seconds, whatever the engine does.
//   - A record's subject is its identity: the engine stores one record a
//     subject, ever. A second one gets the first back.
//   - Tail and Follow hand over records in ledger order, each at least once. A
//     record that a handler cannot handle is tried again after growing pauses
//     and then recorded as needing a person; the records behind it go on.
//   - A timer, a record with a Due, comes due once Commit has returned, also
//     after a restart, and FollowTimers hands it over at least once and never
//     before its time by the bus's clock.
//   - A Bus works in one realm. What uses it sees plain subjects and can name
//     nothing of the other realm.
//   - Positions are hints that may lag behind: a handler meets a record again
//     after a crash and must come to the same result, which deterministic
//     subjects give it for nothing.
//
// What not to assume: that two records of one Commit are stored together, or
// that a record read is the last of its incident.
//
// Reading is by ordered consumers that start at a stored position, instead of
// durable consumers with acknowledgements: those are forgotten by a crash,
// stall for AckWait afterwards, and deliver later records of an incident before
// its earlier ones when they redeliver. In order, two instances of one service
// may even run at once: both derive the same records, and the first one stands.
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

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// Config is how a Bus is opened.
type Config struct {
	Realm event.Realm
	Clock clock.Clock // what timers come due by; the engine's own is the machine's
	Log   *zap.Logger
	// Pauses are the waits before a record that a handler could not handle is
	// tried again; after the last one it is recorded as needing a person. Nil
	// takes DefaultPauses.
	Pauses []time.Duration
	// Engine is the embedded server, where nc is connected to that.
	Engine Engine
	// Replicas is how many copies the streams keep; 0 means 1.
	Replicas int
	// Unverified says that nobody could show that the server syncs every write.
	Unverified bool
	// Doors opens a connection for the requests to one service, and its answers: one of
	// its own, so that a flood of requests delays neither another service nor what is
	// being written. Nil takes the connection of the streams.
	Doors func() (*nats.Conn, error)
	// Identities says who asks, by what stands in the subject of a request; nil:
	// anybody may ask anything, and the server listens on loopback only.
	Identities Identities
	// Memory is what the requests in hand may use, in bytes, which may be shared with
	// other doors. Nil takes MemoryForBodies.
	Memory *share.Pool
}

// Identities are those who have a credential.
type Identities interface {
	// Find returns the one of a role whose id makes a token.
	Find(role identity.Role, token string) (identity.Identity, bool)
	// Vouch returns the proof that a key belongs to this identity, where the key is
	// in use.
	Vouch(who identity.Identity, key string) (Voucher, bool)
	// Allow reports whether somebody may ask once more at this moment.
	Allow(who string) bool
	// Refused is told of a request that is refused, and why.
	Refused(who, what, why string)
}

// DefaultPauses are some six seconds in all: long enough for a passing fault,
// short beside the shortest time that the law gives.
var DefaultPauses = []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}

// Bus is a connection to the streams. It is safe for use by several goroutines.
type Bus struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	ledger    jetstream.Stream
	timers    jetstream.Stream
	cfg       Config
	positions jetstream.KeyValue
	writers   map[string]*writer // by stream
	life      context.Context    // ends with Close
	stop      context.CancelFunc
	readers   sync.WaitGroup
	feedMu    sync.Mutex
	feed      atomic.Pointer[feed]   // nil before somebody reads
	agenda    atomic.Pointer[agenda] // nil where nobody follows the timers
	following sync.Map               // the followers' *progress
	together  sync.Map               // the followers' *together
	doorsMu   sync.Mutex
	doors     []*nats.Conn // that Config.Doors has opened
	gate      gate
	hearts    hearts
	probe     probe
	failed    *tally.Tally // requests that were not done, or whose answers were not sent
	lost      *tally.Tally // of requests that were refused and wanted no answer
	held      sync.Map     // why nothing may be written to the ledger, by the log that says so
}

// Open prepares the streams on the connection, refusing ones that differ from
// what the guarantees need, and starts the writers. The caller closes the
// connection after Close.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Bus, error) {
	if cfg.Pauses == nil {
		cfg.Pauses = DefaultPauses
	}
	if cfg.Memory == nil {
		cfg.Memory = share.NewPool(MemoryForBodies)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(tryTimeout))
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	b := &Bus{nc: nc, js: js, cfg: cfg, writers: map[string]*writer{}, gate: newGate()}
	b.failed = tally.InLog(cfg.Log.Error, "requests failed", "requests")
	b.lost = tally.New(func(n int, why string) {
		cfg.Log.Error("requests that wanted no answer were dropped", zap.Int("requests", n), zap.String("reason", why))
	})
	for _, sc := range streams(cfg.Realm, max(1, cfg.Replicas)) {
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
		Replicas: max(1, cfg.Replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("bus: positions: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	b.life, b.stop = run, stop
	if err := b.watchHeld(run); err != nil {
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
			w.agenda = func() *agenda { return nil }
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

// Close stops the writers; records that were not stored yet get an error. It
// may be called twice.
func (b *Bus) Close() {
	b.stop()
	for _, w := range b.writers {
		<-w.done
	}
	b.readers.Wait()
	b.doorsMu.Lock()
	defer b.doorsMu.Unlock()
	for _, nc := range b.doors {
		nc.Close()
	}
	b.doors = nil
	b.failed.Flush()
	b.lost.Flush()
}

// HasIdentities reports whether it is known who asks.
func (b *Bus) HasIdentities() bool { return b.cfg.Identities != nil }

// Refused notes that who asks was refused something, and why, unless it is a service of
// ours. It is for what a handler finds out; what a door refuses with [Forbidden] it notes
// itself.
func (b *Bus) Refused(ctx context.Context, what, why string) {
	if who := identity.Of(ctx); b.cfg.Identities != nil && who.Role != identity.Service {
		b.cfg.Identities.Refused(who.String(), what, why)
	}
}

// Memory is what the requests in hand may use, in bytes.
func (b *Bus) Memory() *share.Pool { return b.cfg.Memory }

// Realm is where the bus's records live.
func (b *Bus) Realm() event.Realm { return b.cfg.Realm }

// Durability is "unverified" where nobody could show that writes are synced.
func (b *Bus) Durability() string {
	if b.cfg.Unverified {
		return "unverified"
	}
	return ""
}

// ErrUnavailable says that the engine did not answer. It says nothing about what
// was asked for: a handler that gets it is called again until the engine does.
var ErrUnavailable = errors.New("the engine does not answer")

// engineError marks an error that says that the engine did not answer, or that a
// stream is not there, which may be put back; what it refuses is another matter.
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

// ErrNotFound says that no record has the subject or sequence asked for.
var ErrNotFound = errors.New("no such record")

// Last returns the last ledger record of a subject, which may end in a
// wildcard, or ErrNotFound.
func (b *Bus) Last(ctx context.Context, subject string) (event.Stored, error) {
	return b.stored(again(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return b.ledger.GetLastMsgForSubject(ctx, b.cfg.Realm.Wire(subject))
	}))
}

// First returns the first ledger record of a subject, which may end in a
// wildcard, or ErrNotFound.
func (b *Bus) First(ctx context.Context, subject string) (event.Stored, error) {
	return b.stored(again(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return b.ledger.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(b.cfg.Realm.Wire(subject)))
	}))
}

// Get returns the ledger record of a sequence, or ErrNotFound.
func (b *Bus) Get(ctx context.Context, seq uint64) (event.Stored, error) {
	return b.stored(again(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return b.ledger.GetMsg(ctx, seq) }))
}

// Head returns the sequence of the last ledger record.
func (b *Bus) Head(ctx context.Context) (uint64, error) {
	info, err := again(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) { return b.ledger.Info(ctx) })
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

// Clocks returns how many timers are set, or due and not handled yet.
func (b *Bus) Clocks(ctx context.Context) (uint64, error) {
	info, err := b.timers.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bus: clocks: %w", err)
	}
	return info.State.Msgs, nil
}
