package bus_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

// send sends records and returns the predicted and the actual results.
func send(t *testing.T, b *bus.Bus, records ...event.Record) (likely []bus.Result, known bool, results []bus.Result) {
	t.Helper()
	sent, err := b.Send(t.Context(), records)
	require.NoError(t, err)
	likely, known = sent.Likely()
	results, err = sent.Wait(t.Context())
	require.NoError(t, err)
	require.Len(t, results, len(records))
	return likely, known, results
}

// agree checks that the prediction matches the results and the stored records.
func agree(t *testing.T, b *bus.Bus, records []event.Record, likely, results []bus.Result) {
	t.Helper()
	for i, r := range results {
		require.Nil(t, r.Existing)
		require.Equal(t, r.Sequence, likely[i].Sequence)
		stands, err := b.Get(t.Context(), r.Sequence)
		require.NoError(t, err)
		require.Equal(t, records[i].Subject, stands.Subject)
		require.Equal(t, stands.Entry(), b.Entry(records[i], likely[i]))
		require.Equal(t, stands.Entry(), b.Entry(records[i], r))
	}
}

// A sole writer's prediction is right, also after another writer's records and for a
// subject that was taken before.
func TestWhatIsLikelyOfARecord(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	_, known, results := send(t, b, accepted(0))
	require.False(t, known, "nobody has written since the start")
	require.EqualValues(t, 1, results[0].Sequence)
	require.Eventually(t, func() bool { // the writer may still be finishing
		records := []event.Record{accepted(int(results[0].Sequence) + 10)}
		var likely []bus.Result
		if likely, known, results = send(t, b, records...); known {
			agree(t, b, records, likely, results)
		}
		return known
	}, 30*time.Second, time.Millisecond)

	head, err := b.Head(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var likely []bus.Result
		if likely, known, results = send(t, b, accepted(0)); known {
			require.Equal(t, head+1, likely[0].Sequence)
			require.EqualValues(t, 1, results[0].Sequence)
			require.NotNil(t, results[0].Existing, "it stood there before")
		}
		return known
	}, 30*time.Second, time.Millisecond)
	_, known, _ = send(t, b, event.RawRecord("rejected.grid-east.x", stamp, "", []byte("{}")))
	require.False(t, known, "that is not the ledger")
}

// Records with joined output are predicted, too.
func TestWhatIsLikelyOfRecordsThatOthersFollow(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	followers(t, b, follows{called: new(atomic.Int64), atFirst: func(string) bool { return false }})
	commit(t, b, 0, 1)
	eventually(t, "it is handled", func() bool { head, err := b.Head(t.Context()); return err == nil && head == 2+consequences })
	for try, at := 0, 2+consequences; ; try++ {
		require.Less(t, try, 100)
		records := []event.Record{decision(fmt.Sprint("x-", try), "us"), decision(fmt.Sprint("y-", try), "us")}
		likely, known, results := send(t, b, records...)
		if at += 2 * (1 + consequences); known {
			require.Equal(t, likely[0].Sequence+1+consequences, likely[1].Sequence)
			agree(t, b, records, likely, results)
			return
		}
		eventually(t, "all stands", func() bool { head, err := b.Head(t.Context()); return err == nil && head == uint64(at) })
	}
}

// A record already stored under the subject is detected, whatever was predicted.
func TestWhatIsLikelyOfASubjectThatIsTaken(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	commit(t, b, 0, 2)
	mine, others := accepted(7), accepted(7)
	first, err := b.Send(t.Context(), []event.Record{others})
	require.NoError(t, err)
	second, err := b.Send(t.Context(), []event.Record{mine})
	require.NoError(t, err)
	for sent, stands := range map[*bus.Sent]bool{first: true, second: false} {
		results, err := sent.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, stands, results[0].Existing == nil)
		require.EqualValues(t, 3, results[0].Sequence)
	}
}

// While another process writes, predictions stop after at most one wrong one.
func TestNothingIsLikelyWhereAnotherWrites(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	other := bustest.Join(t, env, clock.System{}, event.Real).Bus
	wrong := 0
	for i := range 50 {
		if likely, known, results := send(t, env.Bus, accepted(2*i)); known && likely[0].Sequence != results[0].Sequence {
			wrong++
		}
		_, _, _ = send(t, other, accepted(2*i+1))
	}
	require.LessOrEqual(t, wrong, 1)
}

// With many writers, a right sequence implies a right hash, and a wrong one is detected.
func TestWhatIsLikelyWhereManyWrite(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t).Bus
	const writers, each = 8, 60
	var mu sync.Mutex
	right, seen := 0, map[uint64]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := accepted(w*each + i)
				sent, err := b.Send(t.Context(), []event.Record{r})
				if err != nil {
					t.Error(err)
					return
				}
				likely, known := sent.Likely()
				results, err := sent.Wait(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if known && likely[0].Sequence == results[0].Sequence {
					right++
					if b.Entry(r, likely[0]) != b.Entry(r, results[0]) {
						t.Errorf("record %d has another hash", results[0].Sequence)
					}
				}
				seen[results[0].Sequence] = r.Subject
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, writers*each)
	t.Logf("%d of %d were right", right, writers*each)
	for seq, subject := range seen {
		stands, err := b.Get(t.Context(), seq)
		require.NoError(t, err)
		require.Equal(t, subject, stands.Subject)
	}
}
