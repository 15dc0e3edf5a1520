package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func newKey(t testing.TB) (*Key, Verifier) {
	k, err := OpenKey(filepath.Join(t.TempDir(), "key"), "log.example.com/ledger")
	require.NoError(t, err)
	v, err := NewVerifier(k.Verifier())
	require.NoError(t, err)
	require.Equal(t, k.Origin(), v.Origin())
	return k, v
}

func TestCheckpoint_SignAndOpen(t *testing.T) {
	t.Parallel()
	k, v := newKey(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1, MaxSize-1).Draw(t, "size")
		root := Hash(sha256.Sum256(rapid.SliceOf(rapid.Byte()).Draw(t, "root")))
		signed, err := k.Sign(size, root)
		require.NoError(t, err)
		require.Equal(t, Checkpoint{Origin: k.Origin(), Size: size, Root: root, Note: signed.Note}, signed)
		opened, err := v.Open(signed.Note)
		require.NoError(t, err)
		require.Equal(t, signed, opened)
	})
	empty, err := k.Sign(0, EmptyRoot())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(empty.Note, "log.example.com/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— log.example.com/ledger "))
	_, err = v.Open(empty.Note)
	require.NoError(t, err)
	_, err = k.Sign(0, Hash{})
	require.ErrorContains(t, err, "not that of a log without entries")
	_, err = k.Sign(MaxSize, Hash{})
	require.ErrorContains(t, err, "too large")
}

// TestCheckpointWithFlippedBit flips every bit.
func TestCheckpointWithFlippedBit(t *testing.T) {
	t.Parallel()
	k, v := newKey(t)
	c, err := k.Sign(12_345, Hash{1, 2, 3})
	require.NoError(t, err)
	for i := range len(c.Note) * 8 {
		raw := []byte(c.Note)
		raw[i/8] ^= 1 << (i % 8)
		_, err := v.Open(string(raw))
		require.Error(t, err, "bit %d of byte %d: %q", i%8, i/8, raw)
	}
	for i := range c.Note {
		_, err := v.Open(c.Note[:i])
		require.Error(t, err)
	}
}

// TestCheckpointIsStrict signs, with the right key, texts that are not checkpoints.
func TestCheckpointIsStrict(t *testing.T) {
	t.Parallel()
	k, v := newKey(t)
	root := Hash{9}.String()
	for name, c := range map[string]struct{ text, want string }{
		"an extension":   {k.Origin() + "\n5\n" + root + "\nmore\n", "want three lines"},
		"no root":        {k.Origin() + "\n5\n", "want three lines"},
		"another origin": {"example.com\n5\n" + root + "\n", "it is of the log"},
		"a zero":         {k.Origin() + "\n05\n" + root + "\n", "not written as checkpoints are"},
		"a sign":         {k.Origin() + "\n+5\n" + root + "\n", "is not a number"},
		"a text":         {k.Origin() + "\nfive\n" + root + "\n", "is not a number"},
		"too large":      {k.Origin() + "\n4611686018427387904\n" + root + "\n", "too large"},
		"stray bits":     {k.Origin() + "\n5\n" + root[:42] + "B=\n", "is not the base64"},
		"a short root":   {k.Origin() + "\n5\nAAAA\n", "is not the base64"},
		"an empty log":   {k.Origin() + "\n0\n" + root + "\n", "a log without entries"},
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := note.Sign(&note.Note{Text: c.text}, k.signer)
			require.NoError(t, err)
			_, err = v.Open(string(signed))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestSignaturesOfOthers(t *testing.T) {
	t.Parallel()
	k, v := newKey(t)
	c, err := k.Sign(5, Hash{9})
	require.NoError(t, err)

	witness := "— witness.example.org " + base64.StdEncoding.EncodeToString(make([]byte, 76)) + "\n"
	opened, err := v.Open(c.Note + witness)
	require.NoError(t, err)
	require.Equal(t, c.Note+witness, opened.Note)
	_, err = v.Open(c.Note + witness + witness)
	require.ErrorContains(t, err, "repeated")
	_, err = v.Open(c.Note + strings.Replace(witness, "A=", "B=", 1))
	require.ErrorContains(t, err, "signature")
	_, err = v.Open(c.text() + "\n" + witness)
	require.ErrorContains(t, err, "not signed with the key of log.example.com/ledger")
	own := c.Note[len(c.text())+1:]
	_, err = v.Open(c.Note + own)
	require.ErrorContains(t, err, "repeated")

	_, other := newKey(t)
	_, err = other.Open(c.Note)
	require.ErrorContains(t, err, "not signed with the key")
	_, err = Verifier{}.Open(c.Note)
	require.ErrorContains(t, err, "no verifier key")
	require.Empty(t, Verifier{}.Origin())
}

func TestVerifierKey(t *testing.T) {
	t.Parallel()
	k, _ := newKey(t)
	v, err := NewVerifier(" " + k.Verifier() + "\n")
	require.NoError(t, err)
	require.Equal(t, k.Origin(), v.Origin())
	for _, vkey := range []string{"", "example.com", k.Verifier()[1:], k.Verifier() + "A", strings.Replace(k.Verifier(), "log", "日志", 1)} {
		_, err := NewVerifier(vkey)
		require.Error(t, err, vkey)
	}
}

// FuzzOpen looks for a text that was not signed and is accepted.
func FuzzOpen(f *testing.F) {
	k, err := parseKey("PRIVATE+KEY+log.example.com/ledger+eafa58cd+AXRvY3NpbiBmdXp6IGtleS50b2NzaW4gZnV6eiBrZXku")
	require.NoError(f, err)
	v, err := NewVerifier(k.Verifier())
	require.NoError(f, err)
	c, err := k.Sign(12_345, Hash{1, 2, 3})
	require.NoError(f, err)
	f.Add(c.Note)
	f.Add(strings.Replace(c.Note, "\n12345\n", "\n012345\n", 1))
	f.Add(c.Note + "— witness.example.org AAAAAAAA\n")
	f.Add("log.example.com/ledger\n12345\n\n")
	f.Fuzz(func(t *testing.T, signed string) {
		opened, err := v.Open(signed)
		if err != nil {
			require.Zero(t, opened)
			return
		}
		require.Equal(t, Checkpoint{c.Origin, c.Size, c.Root, signed}, opened)
		require.True(t, strings.HasPrefix(signed, c.text()+"\n"), signed)
	})
}

func TestClaim_NeedsNoKey(t *testing.T) {
	t.Parallel()
	k, err := OpenKey(filepath.Join(t.TempDir(), "key"), "log.example.org/tocsin")
	require.NoError(t, err)
	cp, err := k.Sign(7, Hash{1})
	require.NoError(t, err)
	claimed, err := Claim(cp.Note)
	require.NoError(t, err)
	require.Equal(t, cp, claimed)
	for _, wrong := range []string{"", "x", "a\n07\n" + (Hash{}).String() + "\n\n", strings.Replace(cp.Note, "\n\n", "\n", 1)} {
		_, err := Claim(wrong)
		require.Error(t, err, wrong)
	}
}
