package credential_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
)

var hall = identity.Identity{Role: identity.Desk, ID: "hall", Screens: []string{identity.DefaultScreen}}

// proves reports whether a folder's voucher verifies up to its operator's key.
func proves(t *testing.T, f credential.Folder, d *credential.Directory, who identity.Identity) bool {
	t.Helper()
	h, err := f.Holder(who.Role, who.ID)
	require.NoError(t, err)
	key := h.Keys[len(h.Keys)-1].Public
	v, ok := d.Vouch(who, key)
	operator, err := f.Key()
	require.NoError(t, err)
	if !ok || v.Identities != operator {
		return false
	}
	raw, err := os.ReadFile(filepath.Join(string(f), "creds", string(who.Role)+"-"+who.ID+".creds"))
	require.NoError(t, err)
	pair, err := nkeys.ParseDecoratedUserNKey(raw)
	require.NoError(t, err)
	const subject, sent = "incident.closed.hall.mill.flood.n", `{"kind":"closed"}`
	signature, err := pair.Sign(evidence.ActText(evidence.ActFormat1, subject, []byte(sent)))
	require.NoError(t, err)
	act := evidence.SignedAct{By: who.String(), Key: key, Signature: signature, Sent: sent, Identities: v.Identities, Certificate: v.Certificate, Signer: v.Signer, Delegation: v.Delegation}
	return act.Verify("", subject, []byte(sent)) == nil
}

// With operator.nk offline everything works except replacing the signing key.
func TestOperatorKeyOffline(t *testing.T) {
	t.Parallel()
	f := begin(t)
	safe := filepath.Join(t.TempDir(), "operator.nk")
	require.NoError(t, os.Rename(f.OperatorKey(), safe))
	for _, who := range []identity.Identity{grid, hall} {
		_, err := f.Add(who, now, 0)
		require.NoError(t, err)
	}
	_, err := f.Rotate(hall.Role, hall.ID, nil, now, 0)
	require.NoError(t, err)
	require.NoError(t, f.Revoke(grid.Role, grid.ID, now))
	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	require.True(t, proves(t, f, d, hall))

	_, err = f.ReplaceSigningKey("")
	require.ErrorContains(t, err, "--operator-key")
	other := begin(t)
	_, err = f.ReplaceSigningKey(other.OperatorKey())
	require.ErrorContains(t, err, "another operator")

	// Signatures by the previous signing key are worthless from now on.
	stolen, err := os.ReadFile(filepath.Join(string(f), "signing.json"))
	require.NoError(t, err)
	public, err := f.ReplaceSigningKey(safe)
	require.NoError(t, err)
	nothing := func(string) error { return nil }
	watchUntil(t, f, d, nothing, func(string) error { t.Error("nobody is cut off"); return nil }, func() bool {
		h, err := f.Holder(hall.Role, hall.ID)
		require.NoError(t, err)
		v, ok := d.Vouch(hall, h.Keys[len(h.Keys)-1].Public)
		return ok && v.Signer == public
	})
	require.True(t, proves(t, f, d, hall))
	require.Empty(t, d.Faulty())
	_, ok := d.Find(grid.Role, grid.ID)
	require.False(t, ok, "who was revoked stays revoked")
	require.NoError(t, os.WriteFile(filepath.Join(string(f), "signing.json"), stolen, 0o600))
	_, err = f.Add(identity.Identity{Role: identity.Admin, ID: "thief"}, now, 0)
	require.NoError(t, err)
	again, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	require.Equal(t, []string{"admin-thief"}, again.Faulty())
	_, ok = again.Find(identity.Admin, "thief")
	require.False(t, ok)
}

// A folder of an earlier version has no signing key: the operator's own signs until there
// is one.
func TestFolderWithoutSigningKey(t *testing.T) {
	t.Parallel()
	f := begin(t)
	_, err := f.Add(hall, now, 0)
	require.NoError(t, err)
	older(t, f)
	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	require.Empty(t, d.Faulty())
	_, err = f.Rotate(hall.Role, hall.ID, nil, now, 0)
	require.NoError(t, err)
	d, err = credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	require.True(t, proves(t, f, d, hall))

	_, err = f.ReplaceSigningKey("")
	require.NoError(t, err)
	safe := filepath.Join(t.TempDir(), "operator.nk")
	require.NoError(t, os.Rename(f.OperatorKey(), safe))
	_, err = f.Add(grid, now, 0)
	require.NoError(t, err)
	d, err = credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	require.True(t, proves(t, f, d, hall))

	require.NoError(t, os.Remove(filepath.Join(string(f), "signing.json")))
	_, err = f.Rotate(grid.Role, grid.ID, nil, now, 0)
	require.ErrorContains(t, err, "signing-key --operator-key")
}

// older converts a folder to an earlier version's: every account is signed by the
// operator's key, and there is no signing key.
func older(t *testing.T, f credential.Folder) {
	t.Helper()
	seed, err := os.ReadFile(f.OperatorKey())
	require.NoError(t, err)
	operator, err := nkeys.FromSeed(seed)
	require.NoError(t, err)
	path := func(parts ...string) string { return filepath.Join(append([]string{string(f)}, parts...)...) }
	files, err := os.ReadDir(path("accounts"))
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(path("accounts", file.Name()))
		require.NoError(t, err)
		claims, err := jwt.DecodeAccountClaims(string(raw))
		require.NoError(t, err)
		token, err := claims.Encode(operator)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path("accounts", file.Name()), []byte(token), 0o600))
	}
	raw, err := os.ReadFile(path("operator.jwt"))
	require.NoError(t, err)
	claims, err := jwt.DecodeOperatorClaims(string(raw))
	require.NoError(t, err)
	claims.SigningKeys = nil
	token, err := claims.Encode(operator)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path("operator.jwt"), []byte(token), 0o600))
	require.NoError(t, os.Remove(path("signing.json")))
}

// The accounts of the services are never removed from a running server, whatever is wrong
// with their files.
func TestServicesAccountGone(t *testing.T) {
	t.Parallel()
	f := begin(t)
	_, err := f.Add(grid, now, 0)
	require.NoError(t, err)
	core, logs := observer.New(zapcore.ErrorLevel)
	d, err := credential.Open(f, zap.New(core))
	require.NoError(t, err)
	for _, name := range credential.Internal {
		path := filepath.Join(string(f), "accounts", name+".jwt")
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, spoil := range []func() error{func() error { return os.Remove(path) }, func() error { return os.WriteFile(path, []byte("x"), 0o600) }} {
			require.NoError(t, spoil())
			_, err = credential.Open(f, zap.NewNop())
			require.Error(t, err)
			nobody := func(string) error { t.Error("nothing changes"); return nil }
			logs.TakeAll()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.Watch(ctx, nobody, nobody) }()
			require.Eventually(t, func() bool { return logs.Len() > 0 }, 30*time.Second, time.Millisecond, "the folder is read, and the fault is logged")
			cancel()
			<-ended
			_, ok := d.Find(grid.Role, grid.ID)
			require.True(t, ok)
		}
		require.NoError(t, os.WriteFile(path, raw, 0o600))
	}
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	f, began := begin(t), time.Now()
	for id, valid := range map[string]time.Duration{
		"soon": 29 * 24 * time.Hour, "later": 31 * 24 * time.Hour, "never": 0,
	} {
		_, err := f.Add(identity.Identity{Role: identity.Operator, ID: id}, began, valid)
		require.NoError(t, err)
	}
	for id, valid := range map[string]time.Duration{"never": time.Hour, "later": 40 * 24 * time.Hour} {
		require.NoError(t, f.Change(identity.Operator, id, func(h *credential.Holder) error {
			_, token := credential.NewToken(began, valid)
			_, other := credential.NewToken(began, 0)
			h.Tokens = append(h.Tokens, other, token)
			return nil
		}))
	}
	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	found := map[string]string{}
	for _, x := range d.Expiring() {
		found[x.Who] = x.Kind
	}
	require.Equal(t, map[string]string{"operator/soon": "credential", "operator/never": "token"}, found)
}
