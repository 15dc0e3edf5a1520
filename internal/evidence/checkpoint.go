package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint certifies the first Size entries of a log, in the form of
// https://c2sp.org/tlog-checkpoint, without extension lines.
type Checkpoint struct {
	Origin string // of the log; also the name of its key
	Size   uint64 // number of entries that it covers
	Root   Hash   // of the tree of these entries (RFC 6962)
	Note   string // the signed note, verbatim
}

// MaxSize bounds the size of a log, so that sums of sizes do not overflow.
const MaxSize = 1 << 62

// EmptyRoot is the root of a log without entries (RFC 6962).
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// text returns the text to be signed.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

func (c Checkpoint) check() error {
	if c.Size >= MaxSize {
		return fmt.Errorf("evidence: checkpoint: a log of %d entries is too large", c.Size)
	}
	if c.Size == 0 && c.Root != EmptyRoot() {
		return errors.New("evidence: checkpoint: the root is not that of a log without entries")
	}
	return nil
}

// Verifier opens checkpoints signed by one key. The zero Verifier opens none.
type Verifier struct {
	key        note.Verifier
	identities string // nkey; empty: acts of desks need not be signed
}

// NewVerifier returns a Verifier for a note verifier key, as Key.Verifier returns it;
// white space around it is ignored.
func NewVerifier(vkey string) (Verifier, error) {
	key, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return Verifier{}, fmt.Errorf("evidence: verifier key: %w", err)
	}
	if err := checkOrigin(key.Name()); err != nil {
		return Verifier{}, err
	}
	return Verifier{key: key}, nil
}

// Origin returns the name of the log whose checkpoints the Verifier opens.
func (v Verifier) Origin() string {
	if v.key == nil {
		return ""
	}
	return v.key.Name()
}

// Open verifies a signed checkpoint and parses it. It accepts only the canonical form, so
// that no bit can differ; signatures of witnesses below the log's own are ignored. The
// error describes what is wrong.
func (v Verifier) Open(signed string) (Checkpoint, error) {
	if v.key == nil {
		return Checkpoint{}, errors.New("evidence: checkpoint: no verifier key is given")
	}
	if _, err := Claim(signed); errors.Is(err, ErrMalformed) { // before the signature is verified
		return Checkpoint{}, err
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v.key))
	if err != nil {
		var unknown *note.UnverifiedNoteError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("it is not signed with the key of %s that is given", v.Origin())
		} else if !errors.As(err, new(*note.InvalidSignatureError)) {
			err = malformed(err)
		}
		return Checkpoint{}, fmt.Errorf("evidence: checkpoint: %w", err)
	}
	if err := checkSignatures(signed, n); err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Origin() {
		return Checkpoint{}, fmt.Errorf("evidence: checkpoint: it is of the log %q, and signed with the key of %q", c.Origin, v.Origin())
	}
	c.Note = signed
	return c, nil
}

// Claim parses a checkpoint without verifying its signature: for callers without a key
// that need not trust it.
func Claim(signed string) (Checkpoint, error) {
	at := strings.LastIndex(signed, "\n\n")
	text, ok := signed[:max(at, 0)], at >= 0
	if !ok {
		return Checkpoint{}, malformed(errors.New("evidence: checkpoint: it has no signature"))
	}
	c, err := parseCheckpoint(text + "\n")
	c.Note = signed
	return c, err
}

// checkSignatures refuses what package note tolerates: a duplicate signature, and base64
// with stray bits at its end.
func checkSignatures(signed string, n *note.Note) error {
	lines := strings.Split(strings.TrimSuffix(signed[len(n.Text)+1:], "\n"), "\n")
	if len(lines) != len(n.Sigs)+len(n.UnverifiedSigs) {
		return errors.New("evidence: checkpoint: a signature is repeated")
	}
	for _, line := range lines {
		if _, err := base64.StdEncoding.Strict().DecodeString(line[strings.LastIndex(line, " ")+1:]); err != nil {
			return fmt.Errorf("evidence: checkpoint: signature: %w", err)
		}
	}
	return nil
}

// parseCheckpoint accepts exactly what Checkpoint.text writes.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, malformed(errors.New("evidence: checkpoint: want three lines: origin, size, root"))
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseUint(lines[1], 10, 64); err != nil {
		return Checkpoint{}, malformed(fmt.Errorf("evidence: checkpoint: size %q is not a number", lines[1]))
	}
	if err := c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Checkpoint{}, malformed(fmt.Errorf("evidence: checkpoint: root: %w", err))
	}
	if c.text() != text {
		return Checkpoint{}, malformed(fmt.Errorf("evidence: checkpoint: size %q is not written as checkpoints are", lines[1]))
	}
	return c, c.check()
}
