package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-project/tocsin/internal/private"
)

// Key signs checkpoints with Ed25519, as a signed note (https://c2sp.org/signed-note).
// The holder of its file can certify anything in the name of the log.
type Key struct {
	signer   note.Signer
	verifier string
}

// OpenKey reads the key of a log from a file, and creates one when there is none:
// readable by its owner alone, and durable when OpenKey returns; the folder must exist. A
// new key is named after origin or, when that is empty, gets a name of its own under
// "tocsin.invalid/". It is an error if the group or others can read the file, or if its
// origin differs from the given one.
func OpenKey(path, origin string) (*Key, error) {
	k, err := ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		k, err = makeKey(path, origin)
	}
	if err != nil {
		return nil, err
	}
	if origin != "" && origin != k.Origin() {
		return nil, fmt.Errorf("evidence: the key in %s signs for %q, not for %q", path, k.Origin(), origin)
	}
	return k, nil
}

// keyLimit is more than the longest key file, in bytes.
const keyLimit = 4096

// ReadKey reads the key of a log from a file. The error is fs.ErrNotExist when there is
// none. Only the owner may have permission to read the file.
func ReadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("evidence: key: %w", err)
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("evidence: key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("evidence: key: others than its owner can use %s (mode %04o, must be 0600); if somebody may have read it, use a new one", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, keyLimit))
	if err != nil {
		return nil, fmt.Errorf("evidence: key: %w", err)
	}
	k, err := parseKey(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return nil, fmt.Errorf("evidence: key: %s: %w", path, err)
	}
	return k, nil
}

func makeKey(path, origin string) (*Key, error) {
	if origin == "" {
		var random [4]byte
		_, _ = rand.Read(random[:]) // never fails: it would end the process
		origin = "tocsin.invalid/" + hex.EncodeToString(random[:])
	}
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("evidence: key: %w", err)
	}
	if err := private.Write(path, []byte(secret+"\n")); err != nil {
		return nil, fmt.Errorf("evidence: key: %w", err)
	}
	return parseKey(secret)
}

// checkOrigin checks that an origin is valid as the first line of a checkpoint and as the
// name of a key.
func checkOrigin(origin string) error {
	for _, r := range origin {
		if r <= ' ' || r > '~' || r == '+' {
			return fmt.Errorf("evidence: origin %q: must be printable ASCII without spaces and plus signs, such as example.com/log", origin)
		}
	}
	if origin == "" {
		return errors.New("evidence: the origin is empty")
	}
	return nil
}

// parseKey reads PRIVATE+KEY+name+hash+base64(algorithm, seed), the form of package note.
// Its errors do not repeat the text, which is secret.
func parseKey(secret string) (*Key, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, errors.New("this is not a signing key of a signed note")
	}
	if err := checkOrigin(signer.Name()); err != nil {
		return nil, err
	}
	parts := strings.SplitN(secret, "+", 5) // base64 may contain plus signs
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("this is not an Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, err
	}
	return &Key{signer, verifier}, nil
}

// Origin is the name of the log, the first line of its checkpoints.
func (k *Key) Origin() string { return k.signer.Name() }

// Verifier returns the public half of the key, as a note verifier key, with which anybody
// who got it from a trusted source can verify the log's statements.
func (k *Key) Verifier() string { return k.verifier }

// ID distinguishes the key from others of the same name: the 8 hex digits that a note
// verifier key has after its name.
func (k *Key) ID() string {
	_, rest, _ := strings.Cut(k.verifier, "+")
	id, _, _ := strings.Cut(rest, "+")
	return id
}

// Sign returns the checkpoint that certifies the first size entries of the log.
func (k *Key) Sign(size uint64, root Hash) (Checkpoint, error) {
	c := Checkpoint{Origin: k.Origin(), Size: size, Root: root}
	if err := c.check(); err != nil {
		return Checkpoint{}, err
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("evidence: sign: %w", err)
	}
	c.Note = string(signed)
	return c, nil
}
