package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// TestCredentials follows an administrator: init, add, serve, hand over, rotate, revoke.
func TestCredentials(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	do := func(want int, args ...string) string {
		t.Helper()
		code, out, errOut := tocsin(t, majorReport, append(args, "--lang", "en")...)
		require.Equal(t, want, code, "%v: %s%s", args, out, errOut)
		return strings.TrimSpace(out + errOut)
	}
	require.Contains(t, do(exitRefused, "credential", "add", "operator", "grid-east", "--data", data), "tocsin init")
	do(exitOK, "init", "--data", data)
	require.Contains(t, do(exitRefused, "init", "--data", data), "has identities")
	creds := func(role, id string, more ...string) string {
		t.Helper()
		code, out, errOut := tocsin(t, "", append([]string{"credential", "add", role, id, "--data", data}, more...)...)
		require.Equal(t, exitOK, code, errOut)
		return strings.TrimSpace(out)
	}
	operator, desk := creds("operator", "grid-east"), creds("desk", "protection-energy", "--screen", "default,wall")
	regulator, admin := creds("regulator", "xj", "--level", "province", "--region", "650000", "--valid", "1h"), filepath.Join(data, "identity", "creds", "admin-admin.creds")
	creds("desk", "sh-cyberspace") // with the screen that desk watch uses by default
	for _, bad := range [][]string{{"king", "x"}, {"desk", "a.b"}, {"regulator", "r"}, {"operator", "x", "--sector", "energy"}} {
		do(exitUnreachable, append(append([]string{"credential", "add"}, bad...), "--data", data)...)
	}
	require.Contains(t, do(exitRefused, "credential", "rotate", "desk", "nobody", "--data", data), "there is no such credential")

	s := startServer(t, "--data", data)
	on := func(creds string, args ...string) []string {
		return append(args, "--server", s.url(), "--creds", creds)
	}
	require.Contains(t, do(exitRefused, "report", "--server", s.url()), "--creds")
	require.Contains(t, do(exitOK, on(operator, "report")...), "accepted")
	require.Contains(t, do(exitRefused, on(desk, "report")...), "may not use report.grid-east")
	require.Contains(t, do(exitOK, on(desk, "desk", "watch", "protection-energy", "--count", "1")...), "inc-1")
	require.Contains(t, do(exitRefused, on(desk, "desk", "watch", "protection-energy", "--client", "mobile")...), "--screen")
	do(exitRefused, on(desk, "desk", "watch", "protection-water", "--count", "1")...)
	do(exitOK, on(desk, "desk", "ack", "protection-energy", "protection-energy.grid-east.inc-1.1", "--officer", "duty-officer")...)
	do(exitOK, on(desk, "desk", "handover", "protection-energy")...)
	do(exitOK, on(operator, "owed", "grid-east")...)
	do(exitOK, on(regulator, "log", "query")...)
	do(exitRefused, on(regulator, "log", "show", "grid-east/inc-1")...)
	do(exitRefused, on(regulator, "log", "export", filepath.Join(t.TempDir(), "e"))...)
	do(exitOK, on(admin, "log", "show", "grid-east/inc-1")...)
	require.Contains(t, do(exitOK, on(admin, "log", "show", "grid-east/inc-1")...), "admin/admin")
	do(exitOK, on(admin, "log", "audit")...)

	// The desk's act and the receipt are signed: both verify without the server.
	v, err := evidence.NewVerifier(do(exitOK, on(admin, "log", "key")...))
	require.NoError(t, err)
	v, err = v.WithIdentities(do(exitOK, "credential", "key", "--data", data))
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "evidence")
	do(exitOK, on(admin, "log", "export", folder)...)
	found, err := export.Verify(t.Context(), folder, v, nil, nil)
	require.NoError(t, err)
	require.Empty(t, found.Findings)
	require.EqualValues(t, 1, found.Acts.Signed)
	require.Zero(t, found.Acts.Unsigned)
	_, receipt, _ := tocsin(t, majorReport, on(operator, "report", "--json")...)
	_, err = v.VerifyReceipt([]byte(receipt))
	require.NoError(t, err)
	do(exitOK, on(admin, "log", "export", filepath.Join(t.TempDir(), "e"))...)

	// After a power failure it is unchanged.
	s.kill()
	s.start()
	do(exitOK, on(admin, "log", "status")...)

	old, err := os.ReadFile(desk)
	require.NoError(t, err)
	void := filepath.Join(t.TempDir(), "old.creds")
	require.NoError(t, os.WriteFile(void, old, 0o600))
	do(exitOK, "credential", "rotate", "desk", "protection-energy", "--screen", "mobile", "--data", data)
	require.Eventually(t, func() bool {
		code, _, _ := tocsin(t, "", on(desk, "desk", "handover", "protection-energy")...)
		return code == exitOK
	}, 40*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		code, _, _ := tocsin(t, "", on(void, "desk", "handover", "protection-energy")...)
		return code == exitRefused
	}, 40*time.Second, 50*time.Millisecond)
	do(exitOK, "credential", "revoke", "desk", "protection-energy", "--data", data)
	require.Eventually(t, func() bool {
		code, _, _ := tocsin(t, "", on(desk, "desk", "handover", "protection-energy")...)
		return code == exitRefused
	}, 40*time.Second, 50*time.Millisecond)

	token := do(exitOK, "credential", "token", "operator", "grid-east", "--data", data)
	require.True(t, strings.HasPrefix(token, "tocsin_"))
	_, out, _ := tocsin(t, "", "credential", "list", "--json", "--data", data)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 5)
	for _, line := range lines {
		l := decode(t, line)
		keys(t, l, "role", "id", "tokens")
		switch l["role"] {
		case "desk":
			assert.Equal(t, l["id"] == "protection-energy", l["revoked"] != nil)
		case "operator":
			assert.EqualValues(t, 1, l["tokens"])
		case "regulator":
			assert.Equal(t, "650000", l["region"])
			assert.NotNil(t, l["expires"])
		}
	}
	require.NotContains(t, out, token)
	do(exitOK, "credential", "token", "operator", "grid-east", "--void", "--data", data)
}

// A folder that was served without identities is refused: its content would no longer be
// found.
func TestInit_RefusesFolderWithRecords(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	code, _, errOut := tocsin(t, "", "init", "--data", filepath.Join(s.dir, "data"))
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "without identities")
}

// TestTable_InTheHandbook compares the table in the administrator's handbook with the one
// in force.
func TestTable_InTheHandbook(t *testing.T) {
	handbook, err := os.ReadFile(filepath.Join("..", "..", "deploy", "handbook", "administrator.md"))
	require.NoError(t, err)
	require.Contains(t, string(handbook), identity.Table())
}
