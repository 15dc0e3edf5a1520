package credential_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

var (
	now  = time.Now()
	grid = identity.Identity{Role: identity.Operator, ID: "grid-east"}
)

func begin(t *testing.T) credential.Folder {
	t.Helper()
	f := credential.In(t.TempDir())
	require.NoError(t, credential.Init(f, now))
	return f
}

// Only its owner can read anything in the folder, and nothing in it is created twice.
func TestInit_CreatesFolder(t *testing.T) {
	t.Parallel()
	f := begin(t)
	file, err := f.Add(grid, now, 0)
	require.NoError(t, err)
	require.FileExists(t, file)
	require.NoError(t, filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
	require.ErrorContains(t, credential.Init(f, now), "has identities")
	_, err = f.Add(grid, now, 0)
	require.ErrorContains(t, err, "rotate")
	none := credential.In(t.TempDir())
	_, err = none.Add(grid, now, 0)
	require.ErrorIs(t, err, credential.ErrNoIdentities)
	require.ErrorContains(t, err, "tocsin init")
	_, err = f.Holder(identity.Desk, "nobody")
	require.ErrorIs(t, err, credential.ErrUnknown)
	require.ErrorIs(t, f.Revoke(identity.Desk, "nobody", now), credential.ErrUnknown)
}

func TestHolder_Lifecycle(t *testing.T) {
	t.Parallel()
	f := begin(t)
	file, err := f.Add(grid, now, time.Hour)
	require.NoError(t, err)
	first, err := os.ReadFile(file)
	require.NoError(t, err)
	token, err := jwt.ParseDecoratedJWT(first)
	require.NoError(t, err)
	user, err := jwt.DecodeUserClaims(token)
	require.NoError(t, err)
	require.Equal(t, now.Add(time.Hour).Unix(), user.Expires)
	require.Contains(t, user.Pub.Allow, "report.grid-east")
	require.Contains(t, user.Pub.Allow, "exercise.report.grid-east")
	require.NotContains(t, strings.Join(user.Pub.Allow, " "), "report.*")

	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	who, ok := d.Find(identity.Operator, "grid-east")
	require.True(t, ok)
	require.Equal(t, grid, who)

	file, err = f.Rotate(identity.Operator, "grid-east", nil, now.Add(time.Minute), 0)
	require.NoError(t, err)
	second, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	h, err := f.Holder(identity.Operator, "grid-east")
	require.NoError(t, err)
	require.Len(t, h.Keys, 2)
	require.NotNil(t, h.Keys[0].Until)
	require.Equal(t, user.Expires, h.Keys[0].Expires.Unix())
	require.Nil(t, h.Keys[1].Expires)
	require.Nil(t, h.Keys[1].Until)

	require.NoError(t, f.Change(identity.Operator, "grid-east", func(h *credential.Holder) error {
		h.Tokens = append(h.Tokens, credential.Token{Hash: "ab"})
		return nil
	}))
	require.NoError(t, f.Revoke(identity.Operator, "grid-east", now.Add(2*time.Minute)))
	h, err = f.Holder(identity.Operator, "grid-east")
	require.NoError(t, err)
	require.NotNil(t, h.Revoked)
	require.Empty(t, h.Tokens)
	require.ErrorContains(t, f.Change(identity.Operator, "grid-east", func(*credential.Holder) error { return nil }), "revoked")
	_, ok = d.Find(identity.Operator, "grid-east")
	require.True(t, ok, "nobody has looked")
	nothing := func(string) error { return nil }
	watchUntil(t, f, d, nothing, nothing, func() bool {
		_, ok := d.Find(identity.Operator, "grid-east")
		return !ok
	})
}

// watchUntil watches the folder until a change was seen, and a later one after it: an
// account that it adds.
func watchUntil(t *testing.T, f credential.Folder, d *credential.Directory, admit, expel func(string) error, seen func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Watch(ctx, admit, expel) }()
	require.Eventually(t, seen, 30*time.Second, time.Millisecond)
	_, err := f.Add(identity.Identity{Role: identity.Operator, ID: "marker"}, now, 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, ok := d.Find(identity.Operator, "marker"); return ok }, 30*time.Second, time.Millisecond)
	cancel()
	<-ended
}

// An account that another operator signed, or that was renamed, lets nobody in and locks
// nobody else out, neither at the start nor later.
func TestOpen_ForgedAccount(t *testing.T) {
	t.Parallel()
	f, other := begin(t), begin(t)
	_, err := f.Add(grid, now, 0)
	require.NoError(t, err)
	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	admin := identity.Identity{Role: identity.Admin, ID: "admin"}
	_, err = other.Add(admin, now, 0)
	require.NoError(t, err)
	forged, err := os.ReadFile(filepath.Join(string(other), "accounts", "admin-admin.jwt"))
	require.NoError(t, err)
	own, err := os.ReadFile(filepath.Join(string(f), "accounts", "operator-grid-east.jwt"))
	require.NoError(t, err)
	for _, content := range [][]byte{forged, own, []byte("x"), nil, append(forged[:len(forged)-3:len(forged)-3], "AAA"...)} {
		require.NoError(t, os.WriteFile(filepath.Join(string(f), "accounts", "admin-admin.jwt"), content, 0o600))
		core, logs := observer.New(zapcore.ErrorLevel)
		again, err := credential.Open(f, zap.New(core))
		require.NoError(t, err)
		require.Equal(t, []string{"admin-admin"}, again.Faulty())
		require.Contains(t, logs.All()[0].ContextMap()["error"], "admin-admin")
		_, ok := again.Find(identity.Admin, "admin")
		require.False(t, ok)
		_, ok = again.Find(identity.Operator, "grid-east")
		require.True(t, ok, "one file that is not right stops nobody else")
		ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond)
		_ = d.Watch(ctx, func(string) error { t.Error("nothing is to be admitted"); return nil }, func(string) error { return nil })
		cancel()
		_, ok = d.Find(identity.Admin, "admin")
		require.False(t, ok)
		_, ok = d.Find(identity.Operator, "grid-east")
		require.True(t, ok)
	}
	require.NoError(t, f.Change(identity.Operator, "grid-east", func(*credential.Holder) error { return nil }), "another's change")
}

// A broken file, whosever it is, does not keep others from being revoked, and its
// identity loses all permissions.
func TestWatch_FaultyFileDoesNotStopRevocations(t *testing.T) {
	t.Parallel()
	f := begin(t)
	desk := identity.Identity{Role: identity.Desk, ID: "d", Screens: []string{identity.DefaultScreen}}
	for _, who := range []identity.Identity{grid, desk, {Role: identity.Admin, ID: "a"}} {
		_, err := f.Add(who, now, 0)
		require.NoError(t, err)
	}
	d, err := credential.Open(f, zap.NewNop())
	require.NoError(t, err)
	held, release := d.Until(t.Context(), identity.Identity{Role: identity.Desk, ID: "d", Screens: []string{identity.DefaultScreen}})
	defer release()
	require.NoError(t, held.Err())
	require.NoError(t, os.WriteFile(filepath.Join(string(f), "accounts", "desk-d.jwt"), []byte("x"), 0o600))
	require.NoError(t, f.Revoke(identity.Operator, "grid-east", now))
	require.NoError(t, os.Remove(filepath.Join(string(f), "accounts", "admin-a.jwt")))
	var expelled []string
	admitted := 0
	var mu sync.Mutex
	watchUntil(t, f, d, func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if admitted++; admitted == 1 {
			return errors.New("not now")
		}
		return nil
	}, func(account string) error {
		mu.Lock()
		defer mu.Unlock()
		expelled = append(expelled, account)
		return nil
	}, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return admitted > 1 && len(expelled) > 1
	})
	for _, who := range []identity.Identity{grid, desk, {Role: identity.Admin, ID: "a"}} {
		_, ok := d.Find(who.Role, who.ID)
		require.False(t, ok, who)
	}
	require.Error(t, held.Err(), "what went on for it has ended")
	require.Len(t, expelled, 2, "the one that is gone, and the one that says nothing")
	require.Equal(t, 3, admitted, "what failed is tried again, and then the marker comes")
}

// If credentials are created on another machine, the signed files are copied here, and a
// copy may overwrite a file in place, which does not change the folder.
func TestWatch_FileOverwrittenInPlace(t *testing.T) {
	t.Parallel()
	here, there := begin(t), credential.Folder(filepath.Join(t.TempDir(), "there"))
	_, err := here.Add(grid, now, 0)
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(string(there), os.DirFS(string(here))))
	long := time.Now().Add(-time.Hour)
	const file = "operator-grid-east.jwt"
	files, err := os.ReadDir(filepath.Join(string(here), "accounts"))
	require.NoError(t, err)
	for _, f := range files {
		require.NoError(t, os.Chtimes(filepath.Join(string(here), "accounts", f.Name()), long, long))
	}
	require.NoError(t, os.Chtimes(filepath.Join(string(here), "accounts"), long, long))
	d, err := credential.Open(here, zap.NewNop())
	require.NoError(t, err)
	require.NoError(t, there.Revoke(identity.Operator, "grid-east", now))
	signed, err := os.ReadFile(filepath.Join(string(there), "accounts", file))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(string(here), "accounts", file), signed, 0o600))
	info, err := os.Stat(filepath.Join(string(here), "accounts"))
	require.NoError(t, err)
	require.WithinDuration(t, long, info.ModTime(), time.Second)
	nothing := func(string) error { return nil }
	watchUntil(t, here, d, nothing, nothing, func() bool {
		_, ok := d.Find(identity.Operator, "grid-east")
		return !ok
	})
}

// An incomplete folder is an error, not an absence of identities.
func TestExists(t *testing.T) {
	t.Parallel()
	there, err := credential.In(t.TempDir()).Exists()
	require.NoError(t, err)
	require.False(t, there)
	f := begin(t)
	there, err = f.Exists()
	require.NoError(t, err)
	require.True(t, there)
	require.NoError(t, os.Remove(filepath.Join(string(f), "operator.jwt")))
	_, err = f.Exists()
	require.Error(t, err)
}

// A key is void even if the clock was set back, and no proof belongs to two identities.
func TestRotate_ClockSetBack(t *testing.T) {
	t.Parallel()
	f := begin(t)
	_, err := f.Add(grid, now.Add(time.Hour), 0)
	require.NoError(t, err)
	_, err = f.Rotate(identity.Operator, "grid-east", nil, now, 0)
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(string(f), "accounts", "operator-grid-east.jwt"))
	require.NoError(t, err)
	claims, err := jwt.DecodeAccountClaims(string(raw))
	require.NoError(t, err)
	h, err := f.Holder(identity.Operator, "grid-east")
	require.NoError(t, err)
	require.True(t, claims.Revocations.IsRevoked(h.Keys[0].Public, now.Add(time.Hour)))
	require.NotContains(t, claims.Revocations, h.Keys[1].Public)
	_, err = f.Rotate(identity.Operator, "grid-east", nil, now, -time.Hour)
	require.ErrorContains(t, err, "cannot be valid for")

	_, err = f.Add(identity.Identity{Role: identity.Admin, ID: "a"}, now, 0)
	require.NoError(t, err)
	give := func(role identity.Role, id string) error {
		return f.Change(role, id, func(h *credential.Holder) error {
			h.Certs = append(h.Certs, credential.Cert{SPKI: "ab"})
			return nil
		})
	}
	require.NoError(t, give(identity.Operator, "grid-east"))
	require.ErrorContains(t, give(identity.Admin, "a"), "operator/grid-east has this key")
}

// Refusals are counted, the first of a kind is logged at once, the rest as a number, and
// a burst raises an alarm.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := begin(t)
	core, logs := observer.New(zapcore.DebugLevel)
	d, err := credential.Open(f, zap.New(core))
	require.NoError(t, err)
	for range 119 {
		d.Refused("operator/x", "ledger.remove", "may not")
	}
	require.Equal(t, 1, logs.Len())
	require.False(t, d.Alarm())
	for i := range 400 {
		d.Refused("operator/x", "path/"+string(rune('a'+i%200)), "may not")
	}
	require.True(t, d.Alarm())
	require.EqualValues(t, 519, d.Refusals())
	require.Less(t, logs.Len(), 110, "who is refused cannot fill the log")
	require.Len(t, logs.FilterMessageSnippet("alarm").All(), 1)
	told := logs.Len()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nothing := func(string) error { return nil }
	_ = d.Watch(ctx, nothing, nothing)
	require.Greater(t, logs.Len(), told, "what was counted is told at the end, too")
	require.EqualValues(t, 119, logs.FilterMessage("requests were refused").FilterField(zap.String("request", "ledger.remove")).All()[0].ContextMap()["count_1m"])
}
