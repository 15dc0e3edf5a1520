package ledger

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// checked serves a ledger over some records until they are certified and indexed, and the check
// that a start triggers is over.
func checked(t *testing.T, records ...event.Record) (env *bustest.Env, dir string) {
	t.Helper()
	env, dir = bustest.Start(t), t.TempDir()
	commit(t, env, records...)
	serve(t, env, dir, clock.System{})
	require.Eventually(t, func() bool {
		audit := ask[api.AuditAnswer](t, env, api.EndpointAudit, api.AuditRequest{})
		state, all := logState(t, env), uint64(len(records))
		return audit.Ended != nil && !audit.Running && state.Size == all && state.Indexed == all
	}, 30*time.Second, 5*time.Millisecond)
	return env, dir
}

func logState(t *testing.T, env *bustest.Env) api.LogState {
	t.Helper()
	return ask[api.LogState](t, env, api.EndpointLog, nil)
}

// TestRecords_DamageIsFoundWhenFirstRead: reading a record that was changed since it was certified
// reports the damage, whenever the next check is.
func TestRecords_DamageIsFoundWhenFirstRead(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(t *testing.T, env *bustest.Env){
		"prove": func(t *testing.T, env *bustest.Env) {
			a := ask[api.ProveAnswer](t, env, api.EndpointProve, api.ProveRequest{Record: 5})
			require.Contains(t, a.Errors[0].Message, "is not what was certified")
		},
		"story": func(t *testing.T, env *bustest.Env) {
			a := ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"})
			require.Len(t, a.Entries, 20)
		},
		"records": func(t *testing.T, env *bustest.Env) {
			a := ask[api.RecordsAnswer](t, env, api.EndpointRecords, api.RecordsRequest{From: 5, To: 5})
			require.Len(t, a.Lines, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var records []event.Record
			for n := range 20 {
				records = append(records, ledgertest.Escalated(n+1, nil))
			}
			env, dir := checked(t, records...)
			// The entry is changed, not the record: for the reader it is the same. It is
			// in every partial bundle that a checkpoint needed.
			bundles, err := filepath.Glob(filepath.Join(dir, "log/tile/entries/000.p/*"))
			require.NoError(t, err)
			require.NotEmpty(t, bundles)
			for _, bundle := range bundles {
				raw, err := os.ReadFile(bundle)
				require.NoError(t, err)
				if at := 4*34 + 2; at < len(raw) {
					raw[at] ^= 1
				}
				require.NoError(t, os.WriteFile(bundle, raw, 0o600))
			}
			require.Empty(t, logState(t, env).Damage)
			read(t, env)
			damage := logState(t, env).Damage
			require.NotEmpty(t, damage)
			require.EqualValues(t, 5, damage[0].First)
		})
	}
}

// TestStory_ShowsAMissingRecord: a record that vanished from the stream is shown as missing
// in its place, and the same request reports the damage.
func TestStory_ShowsAMissingRecord(t *testing.T) {
	t.Parallel()
	env, _ := checked(t, ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil), ledgertest.Escalated(3, nil))
	require.NoError(t, env.Bus.Remove(ledgertest.Anyone(t), 2))
	a := ask[api.ShowAnswer](t, env, api.EndpointShow, api.ShowRequest{Operator: "grid-east", Incident: "x"})
	require.Len(t, a.Entries, 3, "the rest of the story is shown")
	for i, e := range a.Entries {
		require.EqualValues(t, i+1, e.Record)
		require.Equal(t, i == 1, string(e.Body) == `{"missing":true}`, "record %d: %s", e.Record, e.Body)
	}
	named := slices.DeleteFunc(logState(t, env).Damage, func(d event.Damage) bool { return d.First == 0 }) // the count of the engine
	require.Len(t, named, 1)
	require.Equal(t, []any{event.DamageMissing, uint64(2), uint64(2)}, []any{named[0].Kind, named[0].First, named[0].Last})
}

// A request for a proof names a record or a size, and not both.
func TestProve_NeedsARecordOrASize(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	for _, q := range []api.ProveRequest{{}, {Record: 1, Size: 1}} {
		a := ask[api.ProveAnswer](t, env, api.EndpointProve, q)
		require.Len(t, a.Errors, 1)
		require.Contains(t, a.Errors[0].Message, "must name a record or a size")
	}
}

func TestRecords_InPages(t *testing.T) {
	t.Parallel()
	env := bustest.Start(t)
	serve(t, env, t.TempDir(), clock.NewManual(ledgertest.Nine))
	for n := range 1200 / 400 {
		var records []event.Record
		for i := range 400 {
			records = append(records, ledgertest.Escalated(400*n+i+1, nil))
		}
		commit(t, env, records...)
	}
	var stored []event.Stored
	require.NoError(t, env.Bus.Range(ledgertest.Anyone(t), 1, 1<<40, bus.Ahead, func(batch []event.Stored) error {
		stored = append(stored, batch...)
		return nil
	}))
	read := func(q api.RecordsRequest) (out []uint64) {
		for {
			a := ask[api.RecordsAnswer](t, env, api.EndpointRecords, q)
			require.Empty(t, a.Errors)
			for _, line := range a.Lines {
				r, err := evidence.ParseLine([]byte(line))
				require.NoError(t, err)
				require.Equal(t, stored[r.Sequence-1].Entry(), r.Entry())
				out = append(out, r.Sequence)
			}
			if a.Next == 0 {
				return out
			}
			q.From = a.Next
		}
	}
	require.Len(t, read(api.RecordsRequest{}), 1200)
	require.Equal(t, []uint64{7, 8, 9}, read(api.RecordsRequest{From: 7, To: 9}))
	require.Empty(t, read(api.RecordsRequest{From: 1201}))
	require.Equal(t, []uint64{12}, read(api.RecordsRequest{Subjects: []string{"incident.escalated.*.grid-east.x.12"}}))
	at := stored[700].StoredAt // a batch has one stamp
	since := read(api.RecordsRequest{Since: &at})
	until := read(api.RecordsRequest{Until: &at})
	require.Equal(t, 1200, len(since)+len(until))
	require.True(t, !stored[since[0]-1].StoredAt.Before(at) && stored[until[len(until)-1]-1].StoredAt.Before(at))
	later := time.Now().Add(time.Hour)
	require.Empty(t, read(api.RecordsRequest{Since: &later}))
}
