package ledger

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// TestPropertyCopies: unpacking gives what was packed, except for the engine's own
// headers.
func TestPropertyCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []event.Stored
		var c copier
		var packed []byte
		for seq := uint64(1); seq <= copyRun; seq++ {
			h := nats.Header{"Nats-Sequence": {"1"}}
			for name, values := range rapid.MapOfN(rapid.StringN(1, 9, 9), rapid.SliceOfN(rapid.String(), 1, 3), 0, 3).Draw(t, "header") {
				h[name] = values
			}
			s := event.ReadStored(event.Real, "incident.accepted.a.b."+fmt.Sprint(seq), h, rapid.SliceOf(rapid.Byte()).Draw(t, "body"), seq, time.Unix(0, rapid.Int64().Draw(t, "at")))
			packed = c.add(s)
			want = append(want, s)
		}
		require.NotNil(t, packed)
		i := 0
		require.NoError(t, unpackCopies(event.Real, packed, func(s event.Stored) {
			require.Equal(t, want[i].Entry(), s.Entry())
			require.Equal(t, want[i].StoredAt, s.StoredAt)
			require.Equal(t, want[i].Subject, s.Subject)
			i++
		}))
		require.Equal(t, copyRun, i)
	})
}

func FuzzCopies(f *testing.F) {
	var c copier
	f.Add(s2.Encode(nil, appendCopy(nil, event.Stored{Sequence: 1, Wire: "a", Header: nats.Header{"b": {"c"}}})))
	f.Add(s2.Encode(nil, []byte{1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}))
	f.Add(c.packed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = unpackCopies(event.Real, raw, func(event.Stored) {})
		_ = unpackCopies(event.Real, s2.Encode(nil, raw), func(event.Stored) {})
	})
}

// proved requests the proof of a record, and returns the record that it proves.
func (w *world) proved(record uint64) string {
	w.t.Helper()
	a := askOf[event.ProveAnswer](w, event.DoorProve, event.ProveRequest{Record: record})
	require.Empty(w.t, a.Errors)
	return a.Proof
}

// runs returns how many runs the index has.
func (w *world) runs() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+indexFile(w.own())+"?mode=ro")
	require.NoError(w.t, err)
	defer db.Close()
	require.NoError(w.t, db.QueryRow("SELECT count(*) FROM copies").Scan(&n))
	return n
}

// caughtUp waits until everything is certified and indexed.
func (w *world) caughtUp() {
	w.t.Helper()
	cp := w.certified()
	require.NoError(w.t, w.ledger.grown(anyone(w.t), cp.Size-1))
}

// TestACopyAnswersAndTheStreamIsReadBehindIt: a record that vanished from the stream is
// still shown and proved from its copy, and is found missing because of that.
func TestACopyAnswersAndTheStreamIsReadBehindIt(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(w *world){
		"prove": func(w *world) { w.proved(70) },
		"story": func(w *world) {
			a := askOf[event.ShowAnswer](w, event.DoorShow, event.ShowRequest{Operator: "grid-east", Incident: "i70"})
			require.Contains(w.t, string(a.Entries[0].Body), `"text"`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.write(200)
			w.caughtUp()
			w.checkedOnce()
			require.Equal(t, 3, w.runs())
			require.NoError(t, w.env.Bus.Remove(anyone(t), 70))
			read(w)
			require.Eventually(t, func() bool { return len(w.ledger.Damage()) > 0 }, 30*time.Second, time.Millisecond)
			require.Equal(t, event.DamageMissing, w.ledger.Damage()[0].Kind)
			read(w)
		})
	}
}

// TestACopyIsNotTrusted: an attacker who writes to the index cannot make anything appear
// that was not certified.
func TestACopyIsNotTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(130)
	w.caughtUp()
	want := w.proved(5)
	var forged []byte
	for seq := uint64(1); seq <= copyRun; seq++ {
		s, err := w.env.Bus.Get(anyone(t), seq)
		require.NoError(t, err)
		s.Data = []byte(`{"text":"forged"}`)
		forged = appendCopy(forged, s)
	}
	x := w.ledger.index.Load()
	for _, raw := range [][]byte{s2.Encode(nil, forged), []byte("nonsense"), nil} {
		_, err := x.db.ExecContext(anyone(t), "UPDATE copies SET records = ? WHERE run = 0", append([]byte{}, raw...))
		require.NoError(t, err)
		require.Equal(t, want, w.proved(5))
	}
	require.Empty(t, w.ledger.Damage(), "the record itself is what it was")
}

// TestWhatIsRemovedHasNoCopy, whether its run was complete before or is completed
// afterwards.
func TestWhatIsRemovedHasNoCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(200) // 3 runs, and 8 records
	w.caughtUp()
	w.remove(70)
	w.remove(195)
	w.write(100)
	w.caughtUp()
	require.Equal(t, 2, w.runs(), "1–64 and 129–192: that of record 70 is gone, the one with the removals was never kept")
	for _, record := range []uint64{70, 195} {
		a := askOf[event.ProveAnswer](w, event.DoorProve, event.ProveRequest{Record: record})
		require.NotEmpty(t, a.Errors)
	}
	w.proved(71)
	w.restart()
	w.write(1)
	w.caughtUp()
	require.Equal(t, 2, w.runs())
	w.proved(3)
	w.checkedOnce()
	require.Empty(t, w.ledger.Damage())
}
