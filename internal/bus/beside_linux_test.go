package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func decision(incident, by string) event.Record {
	return event.RawRecord("rules.decision."+incident, stamp, by, fmt.Appendf(nil, `{"by":%q}`, by))
}

const consequences = 3

// consequencesOf makes the records that follow from a decision.
func consequencesOf(subject string, data []byte) (out []event.Record, err error) {
	var d struct{ By string }
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	incident := subject[len("rules.decision."):]
	for k := range consequences {
		out = append(out, event.RawRecord(fmt.Sprintf("rules.consequence.%s.%d", incident, k), stamp, d.By+incident, fmt.Appendf(nil, `{"by":%q}`, d.By)))
	}
	return out, nil
}

// decide follows reports and makes a decision from each, with the consequences of some
// beside it. carryOut follows the decisions and counts those that it had to handle.
func decide(t *testing.T, b *bus.Bus, beside func(incident string) bool) (carriedOut *atomic.Int64) {
	t.Helper()
	carriedOut = new(atomic.Int64)
	giveUp := func(in event.Stored, _ int, err error) (event.Record, error) {
		return event.Record{}, fmt.Errorf("record %d is given up: %w", in.Sequence, err)
	}
	bySubject := func(s event.Stored) string { return s.Subject }
	for _, f := range []bus.Follower{
		{Name: "decide", Subjects: []string{event.AllAccepted}, Handler: handle(func(_ context.Context, in event.Stored) (out []event.Record, err error) {
			incident := event.ParseSubject(in.Subject).Incident
			d := decision(incident, "us")
			if beside(incident) {
				d.Beside, err = consequencesOf(d.Subject, d.Data)
			}
			return []event.Record{d}, err
		})},
		{Name: "carry-out", Subjects: []string{"rules.decision.*"}, SkipBeside: true, Handler: handle(func(_ context.Context, in event.Stored) ([]event.Record, error) {
			carriedOut.Add(1)
			return consequencesOf(in.Subject, in.Data)
		})},
	} {
		f.Key, f.GiveUp = bySubject, giveUp
		bustest.Background(t, func(ctx context.Context) error { return b.Follow(ctx, f) })
	}
	return carriedOut
}

// TestBeside_IsStoredOrLeftToItsFollower requires that every consequence of the stored
// decisions is stored once, and none of a decision that is not stored: whatever other
// writers stored before, and whether the engine can store batches or not.
func TestBeside_IsStoredOrLeftToItsFollower(t *testing.T) {
	t.Parallel()
	const incidents = 600
	name := func(i int) string { return fmt.Sprintf("inc-%d", i) }
	for scenario, taken := range map[string]bool{"staged in memory": false, "the folder in memory is removed": true} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := bustest.StartIn(t, dir, clock.System{}).Bus
			var others []event.Record // stored by another writer before the first decision
			foreign := map[string]bool{}
			for i := 7; i < incidents/2; i += 31 {
				others = append(others, decision(name(i), "another"))
			}
			for i := 9; i < incidents/2; i += 29 {
				others = append(others, event.RawRecord(fmt.Sprintf("rules.consequence.%s.1", name(i)), stamp, "", []byte(`{"by":"another"}`)))
			}
			for _, r := range others {
				foreign[r.Subject] = true
			}
			carriedOut := decide(t, b, func(incident string) bool { return incident[len(incident)-1] != '5' })
			_, err := b.Commit(t.Context(), others)
			require.NoError(t, err)
			commit(t, b, 0, incidents/2)
			if taken {
				require.NoError(t, os.RemoveAll(filepath.Dir(bustest.BatchesInMemory(t, dir, event.StreamLedger))))
			}
			commit(t, b, incidents/2, incidents)
			const all = incidents * (2 + consequences)
			eventually(t, "all are stored", func() bool { head, err := b.Head(t.Context()); return err == nil && head == all })

			found := map[string]event.Stored{}
			require.NoError(t, b.Range(t.Context(), 1, all, bus.Ahead, func(batch []event.Stored) error {
				for _, s := range batch {
					require.NotContains(t, found, s.Subject)
					found[s.Subject] = s
				}
				return nil
			}))
			for i := range incidents {
				by := "us"
				if d := found["rules.decision."+name(i)]; foreign[d.Subject] {
					by = "another"
				} else {
					require.NotEmpty(t, d.Subject)
				}
				for k := range consequences {
					c := found[fmt.Sprintf("rules.consequence.%s.%d", name(i), k)]
					want := by
					if foreign[c.Subject] {
						want = "another"
					}
					require.JSONEq(t, fmt.Sprintf(`{"by":%q}`, want), string(c.Data), c.Subject)
				}
			}
			require.GreaterOrEqual(t, carriedOut.Load(), int64(incidents/10), "those with nothing beside them are left to their follower")
		})
	}
}

// TestBeside_InOneBatch: a decision is stored with its consequences right behind it,
// unless the engine lost the first try.
func TestBeside_InOneBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := bustest.StartIn(t, dir, clock.System{}).Bus
	bustest.BatchesInMemory(t, dir, event.StreamLedger)
	decide(t, b, func(string) bool { return true })
	together := false
	for i := 0; i < 20 && !together; i++ {
		commit(t, b, i, i+1)
		var found []event.Stored
		eventually(t, "it is decided and carried out", func() (ok bool) {
			incident := fmt.Sprintf("inc-%d", i)
			var err error
			found, err = b.LastOf(t.Context(), "rules.decision."+incident, "rules.consequence."+incident+".*")
			return err == nil && len(found) == 1+consequences
		})
		together = found[consequences].Sequence-found[0].Sequence == consequences
	}
	require.True(t, together, "a decision is stored in one batch with its consequences")
}
