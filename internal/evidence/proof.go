package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ProofFormat is the first line of a proof file: https://c2sp.org/tlog-proof.
const ProofFormat = "c2sp.org/tlog-proof@v1"

// Proof proves that a record is in the log that a checkpoint covers. Only the key of the
// log is needed to verify it.
type Proof struct {
	Record     Record
	Path       []Hash // from the leaf's sibling up to below the root (RFC 6962, 2.1.1)
	Checkpoint string // the signed note verbatim
}

// String returns the proof file, with the record's line as its extra data:
//
//	c2sp.org/tlog-proof@v1
//	extra <base64 of Record.Line()>
//	index <sequence−1>
//	<base64 hash>, for each of the path
//
//	<checkpoint>
func (p Proof) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", ProofFormat, base64.StdEncoding.EncodeToString(p.Record.Line()), p.Record.Sequence-1)
	writeProof(&b, p.Path, p.Checkpoint)
	return b.String()
}

// ParseProof accepts exactly what String writes. It does not verify the proof: Verify
// does.
func ParseProof(text string) (Proof, error) {
	p, err := parseProof(text)
	if err == nil && p.String() != text {
		err = malformed(errors.New("it is not written as proofs are"))
	}
	if err != nil {
		return Proof{}, fmt.Errorf("not a proof: %w", err)
	}
	return p, nil
}

func parseProof(text string) (p Proof, err error) {
	head, path, checkpoint, err := cutProof(text, ProofFormat, 2)
	if err != nil {
		return p, malformed(err)
	}
	extra, hasExtra := strings.CutPrefix(head[0], "extra ")
	index, hasIndex := strings.CutPrefix(head[1], "index ")
	if !hasExtra || !hasIndex {
		return p, malformed(errors.New("the lines of the record and its index are missing"))
	}
	line, err := base64.StdEncoding.Strict().DecodeString(extra)
	if err != nil {
		return p, malformed(errors.New("the record is not base64"))
	}
	if p.Record, err = ParseLine(line); err != nil {
		return p, err
	}
	if index != strconv.FormatUint(p.Record.Sequence-1, 10) {
		return p, fmt.Errorf("it is of record %d, which does not have index %q", p.Record.Sequence, index)
	}
	p.Path, p.Checkpoint = path, checkpoint
	return p, nil
}

// Verify verifies the proof with the key: the checkpoint is signed, and the record in the
// proof is in the tree that it covers. Verifier.ActOf verifies a desk's signature. It
// returns the checkpoint.
func (p Proof) Verify(v Verifier) (Checkpoint, error) {
	cp, err := v.Open(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	n := p.Record.Sequence
	if n == 0 || n > cp.Size || cp.Size >= MaxSize {
		return Checkpoint{}, fmt.Errorf("record %d is not among the %d that the checkpoint covers", n, cp.Size)
	}
	if len(p.Path) > maxPath {
		return Checkpoint{}, fmt.Errorf("record %d: the proof has more hashes than a tree has levels", n)
	}
	err = tlog.CheckRecord(tlogPath(p.Path), int64(cp.Size), tlog.Hash(cp.Root), int64(n-1), tlog.Hash(LeafHash(p.Record.Entry())))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("record %d as it stands in the proof is not what the checkpoint covers", n)
	}
	if err := p.Record.CheckBody(); err != nil {
		return Checkpoint{}, fmt.Errorf("record %d: %w", n, err)
	}
	return cp, nil
}

// maxPath bounds the hashes of a proof.
const maxPath = 64

func tlogPath(path []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, h := range path {
		out[i] = tlog.Hash(h)
	}
	return out
}

// writeProof writes the end of a proof: its hashes, an empty line, the checkpoint.
func writeProof(b *strings.Builder, path []Hash, checkpoint string) {
	for _, h := range path {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n" + checkpoint)
}

// cutProof splits a proof: the n lines between its first line and its hashes, the hashes
// and the checkpoint.
func cutProof(text, format string, n int) (head []string, path []Hash, checkpoint string, err error) {
	rest, ok := strings.CutPrefix(text, format+"\n")
	if !ok {
		return nil, nil, "", fmt.Errorf("its first line is not %s", format)
	}
	for len(head) < n {
		var line string
		if line, rest, ok = strings.Cut(rest, "\n"); !ok {
			return nil, nil, "", errors.New("its end is missing")
		}
		head = append(head, line)
	}
	for {
		var line string
		if line, rest, ok = strings.Cut(rest, "\n"); !ok {
			return nil, nil, "", errors.New("the empty line before the checkpoint is missing")
		}
		if line == "" {
			break
		}
		var h Hash
		if err := h.UnmarshalText([]byte(line)); err != nil {
			return nil, nil, "", err
		}
		if path = append(path, h); len(path) > maxPath {
			return nil, nil, "", errors.New("it has more hashes than a tree has levels")
		}
	}
	if rest == "" {
		return nil, nil, "", errors.New("the checkpoint is missing")
	}
	return head, path, rest, nil
}
