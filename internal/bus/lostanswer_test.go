package bus_test

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
)

// lossy is a connection that loses answers: those whose payload contains a text, as often
// as armed says.
type lossy struct {
	net.Conn
	armed *atomic.Int64
	text  []byte
}

// Read redirects a lost answer to a subject without a subscriber.
func (l *lossy) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	for from := 0; ; {
		at := bytes.Index(b[from:n], l.text)
		if at < 0 || l.armed.Load() <= 0 {
			return n, err
		}
		frame := bytes.LastIndex(b[:from+at], []byte("MSG "))
		if end := bytes.IndexByte(b[frame+4:n], ' '); frame >= 0 && end > 3 {
			copy(b[frame+4+end-3:], "zzz")
			l.armed.Add(-1)
		}
		from += at + len(l.text)
	}
}

type lossyDialer struct {
	armed *atomic.Int64
	text  string
}

func (d lossyDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &lossy{c, d.armed, []byte(d.text)}, err
}

// lossyBus returns a bus whose connection loses as many answers containing a text as
// armed says.
func lossyBus(t *testing.T, text string) (b *bus.Bus, armed *atomic.Int64) {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	armed = new(atomic.Int64)
	nc, err := nats.Connect("nats://"+s.Addr(), append(natsd.ConnectOptions("test"), nats.SetCustomDialer(lossyDialer{armed, text}))...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	b, err = bus.Open(t.Context(), nc, bus.Config{Clock: clock.System{}, Log: zap.NewNop(), Engine: s})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b, armed
}

// A lost answer costs one try (TestTries_LeaveRoomForAnother), not the time limit of
// Commit, after which it fails.
func TestCommit_LostAnswer(t *testing.T) {
	t.Parallel()
	for name, records := range map[string]int{"one record": 1, "a batch": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, armed := lossyBus(t, `{"stream":"LEDGER"`)
			armed.Store(1)
			results, err := b.Commit(t.Context(), several(0, records))
			require.NoError(t, err)
			require.Zero(t, armed.Load(), "an answer was lost")
			for _, r := range results {
				require.Nil(t, r.Existing, "what was stored by the first try is ours")
			}
			head, err := b.Head(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, records, head, "each once")
		})
	}
}

func TestLast_LostAnswer(t *testing.T) {
	t.Parallel()
	b, armed := lossyBus(t, "Nats-Sequence: 1\r\n")
	r := accepted(0)
	_, err := b.Commit(t.Context(), several(0, 1))
	require.NoError(t, err)
	armed.Store(1)
	last, err := b.Last(t.Context(), r.Subject)
	require.NoError(t, err)
	require.Zero(t, armed.Load(), "an answer was lost")
	require.EqualValues(t, 1, last.Sequence)
}

// An engine that does not answer does not block a caller indefinitely.
func TestCommit_NoAnswer(t *testing.T) {
	t.Parallel()
	b, armed := lossyBus(t, `{"`)
	armed.Store(1 << 40)
	b.SetCommitWait(100 * time.Millisecond)
	_, err := b.Commit(t.Context(), several(0, 1))
	require.ErrorIs(t, err, bus.ErrUnavailable)
}

func several(from, n int) []event.Record {
	records := make([]event.Record, n)
	for i := range records {
		records[i] = accepted(from + i)
	}
	return records
}
