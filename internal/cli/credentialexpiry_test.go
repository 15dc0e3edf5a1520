package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cli/render"
)

// Credentials and tokens expire by default, with a warning before.
func TestCredentialExpiry(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	do := func(want int, args ...string) string {
		t.Helper()
		code, out, errOut := tocsin(t, majorReport, append(args, "--lang", "en")...)
		require.Equal(t, want, code, "%v: %s%s", args, out, errOut)
		return strings.TrimSpace(out + errOut)
	}
	at := func(args ...string) string { return do(exitOK, append(args, "--data", data)...) }
	require.Contains(t, at("init"), "operator.nk to offline storage")
	require.NoError(t, os.Rename(filepath.Join(data, "identity", "operator.nk"), filepath.Join(t.TempDir(), "operator.nk")))
	at("credential", "add", "operator", "a")
	at("credential", "add", "operator", "b", "--expires", "never")
	at("credential", "add", "operator", "c", "--expires", "29d")
	at("credential", "add", "operator", "d", "--valid", "1h")
	at("credential", "add", "operator", "e", "--valid", "0")
	at("credential", "token", "operator", "a")
	at("credential", "token", "operator", "b", "--expires", "never")
	at("credential", "token", "operator", "c", "--expires", time.Now().Add(72*time.Hour).Format(time.RFC3339))
	for _, bad := range []string{"x", "0d", "-1d", "2020-01-01", "12", "40000d"} {
		do(exitUnreachable, "credential", "add", "operator", "x", "--expires", bad, "--data", data)
	}
	do(exitUnreachable, "credential", "add", "operator", "x", "--expires", "1d", "--valid", "1h", "--data", data)
	do(exitUnreachable, "credential", "rotate", "services", "--expires", "1d", "--data", data)
	do(exitUnreachable, "credential", "rotate", "operator", "--data", data)
	list := map[string]credentialLine{}
	for _, line := range strings.Split(at("credential", "list", "--json"), "\n") {
		var l credentialLine
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		list[l.ID] = l
	}
	in := func(at *time.Time, d time.Duration) {
		t.Helper()
		require.NotNil(t, at)
		require.WithinDuration(t, time.Now().Add(d), *at, time.Hour)
	}
	for id, d := range map[string]time.Duration{"admin": 365 * render.Day, "a": 365 * render.Day, "c": 29 * render.Day, "d": time.Hour} {
		in(list[id].Expires, d)
	}
	require.Nil(t, list["b"].Expires)
	require.Nil(t, list["e"].Expires)
	in(list["a"].TokensExpire, 90*render.Day)
	require.Nil(t, list["b"].TokensExpire)
	in(list["c"].TokensExpire, 72*time.Hour)
	text := at("credential", "list")
	require.Contains(t, text, "(in 28 days)")
	require.Contains(t, text, "1 (in 2 days)")

	// An unreadable account does not stop the other lines, and is reported.
	require.NoError(t, os.WriteFile(filepath.Join(data, "identity", "accounts", "operator-e.jwt"), []byte("x"), 0o600))
	text = do(exitRefused, "credential", "list", "--data", data)
	require.Contains(t, text, "(in 28 days)")
	require.Contains(t, text, "operator-e")

	s := startServer(t, "--data", data)
	creds := func(id string) string { return filepath.Join(data, "identity", "creds", id+".creds") }
	require.Contains(t, do(exitOK, "owed", "c", "--server", s.url(), "--creds", creds("operator-c")), "the credential of operator-c expires")
	require.NotContains(t, do(exitOK, "owed", "a", "--server", s.url(), "--creds", creds("operator-a")), "expires at")

	// The services' own credential is replaced repeatedly while the server runs.
	for range 2 {
		before, err := os.ReadFile(creds("services"))
		require.NoError(t, err)
		at("credential", "rotate", "services")
		at("credential", "rotate", "system")
		after, err := os.ReadFile(creds("services"))
		require.NoError(t, err)
		require.NotEqual(t, before, after)
		old := filepath.Join(t.TempDir(), "old.creds")
		require.NoError(t, os.WriteFile(old, before, 0o600))
		require.Eventually(t, func() bool {
			code, _, _ := tocsin(t, "", "owed", "a", "--server", s.url(), "--creds", old, "--timeout", "2s")
			return code != exitOK
		}, 40*time.Second, 50*time.Millisecond)
		require.Eventually(t, func() bool {
			code, _, _ := tocsin(t, "", "log", "status", "--server", s.url(), "--creds", creds("admin-admin"))
			return code == exitOK
		}, 40*time.Second, 50*time.Millisecond)
	}
}
