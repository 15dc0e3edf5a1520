package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// While the credentials of the services and the signing key are replaced the server keeps
// working: reports are accepted, desks are told, and every other credential stays valid.
func TestRotation_WhileTheServerRuns(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	operator, desk := g.as(identity.Operator, "grid-east"), g.peer(g.creds(identity.Desk, "protection-energy"))
	old, err := os.ReadFile(g.folder.Services())
	require.NoError(t, err)
	void := filepath.Join(t.TempDir(), "services.creds")
	require.NoError(t, os.WriteFile(void, old, 0o600))
	thief := g.peer(void)
	n := 0
	report := func() {
		t.Helper()
		n++
		body := threat("r" + strconv.Itoa(n))
		r, err := operator.Report(t.Context(), "grid-east", body)
		if err != nil { // the engine may lose one that is on its way while it changes the account
			r, err = operator.Report(t.Context(), "grid-east", body)
		}
		require.NoError(t, err)
		require.Contains(t, []string{event.StatusAccepted, event.StatusDuplicate}, r.Status)
	}
	for range 2 { // the second finds what the first has left
		for _, name := range credential.Internal {
			_, err := g.folder.RotateInternal(name, clock.System{}.Now())
			require.NoError(t, err)
			report()
		}
		_, err := g.folder.ReplaceSigningKey("")
		require.NoError(t, err)
		report()
	}
	require.Eventually(t, func() bool { return !thief.IsConnected() }, 30*time.Second, 10*time.Millisecond, "the credential that was replaced is void")
	require.True(t, desk.IsConnected(), "nobody else is cut off")
	report()
	require.Eventually(t, func() bool {
		v, err := g.as(identity.Admin, "admin").Log(t.Context())
		return err == nil && v != nil
	}, 30*time.Second, 10*time.Millisecond)
	g.as(identity.Desk, "sh-public-security") // one that connects only now
	_, err = g.folder.Rotate(identity.Operator, "grid-east", nil, clock.System{}.Now(), 24*time.Hour)
	require.NoError(t, err)
	token := g.token(identity.Admin, "admin")
	require.Eventually(t, func() bool {
		_, metrics := g.http(http.DefaultClient, token, "GET", "/metrics", "")
		return strings.Contains(metrics, `tocsin_credentials_expiring{kind="credential"} 1`) && strings.Contains(metrics, `tocsin_identity_accounts_faulty 0`)
	}, 30*time.Second, 50*time.Millisecond)
}
