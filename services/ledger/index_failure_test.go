package ledger

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// overwrite fills a file with bytes that are not an SQLite page.
func overwrite(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	for at := int64(0); at < info.Size(); at += 512 {
		_, err := f.WriteAt([]byte("this is not what SQLite has written here"), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}

// TestIndexFailure_StopsNobody breaks the index of a running ledger in several ways:
// records are stored and certified meanwhile, and once the cause is removed every query
// covers them.
func TestIndexFailure_StopsNobody(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(t *testing.T, file string) (mend func()){
		"locked": func(t *testing.T, file string) func() {
			db, err := sql.Open("sqlite", file)
			require.NoError(t, err)
			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			_, err = conn.ExecContext(t.Context(), "PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE")
			require.NoError(t, err)
			return func() {
				_, err := conn.ExecContext(t.Context(), "ROLLBACK")
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				require.NoError(t, db.Close())
			}
		},
		"overwritten": func(t *testing.T, file string) func() {
			overwrite(t, file)
			overwrite(t, file+"-wal")
			return nil
		},
		"removed": func(t *testing.T, file string) func() {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Remove(file+"-wal"))
			return nil
		},
		"its log removed": func(t *testing.T, file string) func() {
			require.NoError(t, os.Remove(file+"-wal"))
			return nil
		},
		"truncated": func(t *testing.T, file string) func() {
			require.NoError(t, os.Truncate(file, 0))
			return nil
		},
		"a folder in its place": func(t *testing.T, file string) func() {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.MkdirAll(filepath.Join(file, "not ours"), 0o700))
			return func() { require.NoError(t, os.RemoveAll(file)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, dir := bustest.Start(t), t.TempDir()
			serve(t, env, dir, clock.NewManual(ledgertest.Nine))
			commit(t, env, ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil))
			require.Len(t, ask[api.QueryAnswer](t, env, api.EndpointQuery, api.Query{}).Rows, 2)
			mend := fail(t, filepath.Join(dir, "index.sqlite"))
			commit(t, env, ledgertest.Escalated(3, nil))
			if mend != nil {
				unavailable(t, env)
				commit(t, env, ledgertest.Escalated(4, nil))
			} else {
				commit(t, env, ledgertest.Escalated(4, nil))
			}
			head, err := env.Bus.Head(t.Context())
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				return ask[api.LogState](t, env, api.EndpointLog, struct{}{}).Size >= head
			}, time.Minute, 10*time.Millisecond, "certification needs no index")
			if mend != nil {
				mend()
			}
			require.Eventually(t, func() bool {
				answer, code := try(t, env)
				return code == "" && answer.Through >= head && len(answer.Rows) == 4
			}, time.Minute, 20*time.Millisecond, "the index catches up or is rebuilt")
		})
	}
}

// try queries every escalation, and returns the code of the error if there is one.
func try(t *testing.T, env *bustest.Env) (answer api.QueryAnswer, code string) {
	t.Helper()
	m, err := env.Conn.Request(api.EndpointQuery, []byte("{}"), time.Minute)
	require.NoError(t, err)
	if code = m.Header.Get(endpoint.HeaderErrorCode); code == "" {
		require.NoError(t, json.Unmarshal(m.Data, &answer))
	}
	return answer, code
}

// unavailable waits until queries are refused with the reason.
func unavailable(t *testing.T, env *bustest.Env) {
	t.Helper()
	require.Eventually(t, func() bool {
		m, err := env.Conn.Request(api.EndpointQuery, []byte("{}"), time.Minute)
		require.NoError(t, err)
		if m.Header.Get(endpoint.HeaderErrorCode) == "" {
			return false
		}
		require.Equal(t, "503", m.Header.Get(endpoint.HeaderErrorCode))
		require.Contains(t, m.Header.Get(endpoint.HeaderError), "the index is being opened or rebuilt")
		return true
	}, time.Minute, 20*time.Millisecond)
}

// TestTiles_UnreadableAtStart starts a ledger whose tiles the system cannot read: that is
// not damage, records and queries continue, nothing is certified, and certification
// resumes once the tiles can be read.
func TestTiles_UnreadableAtStart(t *testing.T) {
	t.Parallel()
	env, dir := bustest.Start(t), t.TempDir()
	state := func() api.LogState { return ask[api.LogState](t, env, api.EndpointLog, struct{}{}) }
	certified := func(record uint64) {
		t.Helper()
		require.Eventually(t, func() bool { return state().Size >= record }, time.Minute, 10*time.Millisecond)
	}
	stop := serve(t, env, dir, clock.NewManual(ledgertest.Nine))
	commit(t, env, ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil))
	certified(2)
	stop()
	tile := filepath.Join(dir, "log", "tile", "0", "000.p", "2")
	require.NoError(t, os.Rename(tile, tile+".away"))
	require.NoError(t, os.Mkdir(tile, 0o700)) // reading it fails with an error other than a missing file
	serve(t, env, dir, clock.NewManual(ledgertest.Nine))
	commit(t, env, ledgertest.Escalated(3, nil))
	require.Eventually(t, func() bool { answer, code := try(t, env); return code == "" && len(answer.Rows) == 3 }, time.Minute, 10*time.Millisecond)
	require.EqualValues(t, 2, state().Size, "what cannot be read is not built on")
	require.Empty(t, state().Damage, "a tile that cannot be read at the moment is no evidence against it")
	require.NoError(t, os.Remove(tile))
	require.NoError(t, os.Rename(tile+".away", tile))
	certified(3)
	require.Empty(t, state().Damage)
}
