package evidence

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

func TestOpenKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	_, err := ReadKey(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	made, err := OpenKey(path, "log.example.com/ledger")
	require.NoError(t, err)
	require.Equal(t, "log.example.com/ledger", made.Origin())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	for _, origin := range []string{"", "log.example.com/ledger"} {
		again, err := OpenKey(path, origin)
		require.NoError(t, err)
		require.Equal(t, made.Verifier(), again.Verifier())
	}
	_, err = OpenKey(path, "log.example.org")
	require.ErrorContains(t, err, `signs for "log.example.com/ledger", not for "log.example.org"`)

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = OpenKey(path, "")
	require.ErrorContains(t, err, "mode 0640, must be 0600")
}

func TestNewKeysDiffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := OpenKey(filepath.Join(dir, "a"), "")
	require.NoError(t, err)
	b, err := OpenKey(filepath.Join(dir, "b"), "")
	require.NoError(t, err)
	require.Regexp(t, `^tocsin\.invalid/[0-9a-f]{8}$`, a.Origin())
	require.NotEqual(t, a.Origin(), b.Origin())
	require.NotEqual(t, a.Verifier(), b.Verifier())
	require.True(t, strings.HasPrefix(a.Verifier(), a.Origin()+"+"), a.Verifier())
}

// TestManyKeys creates enough keys that some have every character of base64.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	for range 300 {
		secret, vkey, err := note.GenerateKey(rand.Reader, "example.com")
		require.NoError(t, err)
		k, err := parseKey(secret)
		require.NoError(t, err)
		require.Equal(t, vkey, k.Verifier())
		v, err := NewVerifier(vkey)
		require.NoError(t, err)
		c, err := k.Sign(1, Hash{})
		require.NoError(t, err)
		_, err = v.Open(c.Note)
		require.NoError(t, err)
	}
}

func TestKeyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, origin := range []string{"two words", "a+b", "日志", "line\nend"} {
		_, err := OpenKey(path, origin)
		require.ErrorContains(t, err, "printable ASCII", origin)
		_, err = os.Stat(path)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	_, err := OpenKey(filepath.Join(dir, "none", "key"), "")
	require.Error(t, err)

	k, err := OpenKey(path, "example.com")
	require.NoError(t, err)
	secret, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, text := range []string{
		"", k.Verifier(), string(secret) + string(secret), string(secret[:len(secret)-9]),
		strings.Replace(string(secret), "example.com", "example.org", 1),
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = OpenKey(path, "")
		require.ErrorContains(t, err, "not a signing key")
		require.NotContains(t, err.Error(), "PRIVATE")
	}
}

// TestKey_IsWrittenAtomically aborts the creation of a key at each operation on the disk.
func TestKey_IsWrittenAtomically(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		d, left := newDisk(dir), n
		d.step = func(string, string) error {
			if left--; left < 0 {
				return errKilled
			}
			return nil
		}
		err := d.write(file{path, []byte("whole")})
		got, readErr := os.ReadFile(path)
		if readErr == nil {
			require.Equal(t, "whole", string(got))
		}
		if err == nil {
			require.NoError(t, readErr)
			require.Equal(t, []string{"key"}, filesBelow(t, dir).paths())
			require.Equal(t, 5, n, "create, write, sync, rename, sync of the folder")
			return
		}
		require.True(t, errors.Is(err, errKilled))
	}
}
