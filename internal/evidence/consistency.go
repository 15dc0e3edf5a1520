package evidence

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ConsistencyFormat is the first line of a consistency proof.
const ConsistencyFormat = "tocsin/consistency@v1"

// Consistency proves that a log of one size is the beginning of the one that a checkpoint
// covers: nothing in it was changed or removed.
type Consistency struct {
	Size       uint64 // of the earlier tree
	Root       Hash   // of the earlier tree
	Path       []Hash // RFC 6962, 2.1.2
	Checkpoint string // the later one, a signed note verbatim
}

// String is the proof file:
//
//	tocsin/consistency@v1
//	old <size> <base64 root>
//	<base64 hash>, for each of the path
//
//	<checkpoint>
func (c Consistency) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nold %d %s\n", ConsistencyFormat, c.Size, c.Root)
	writeProof(&b, c.Path, c.Checkpoint)
	return b.String()
}

// ParseConsistency accepts exactly what String writes. It does not verify the proof:
// Verify does.
func ParseConsistency(text string) (Consistency, error) {
	c, err := parseConsistency(text)
	if err == nil && c.String() != text {
		err = malformed(errors.New("it is not written as such proofs are"))
	}
	if err != nil {
		return Consistency{}, fmt.Errorf("not a consistency proof: %w", err)
	}
	return c, nil
}

func parseConsistency(text string) (c Consistency, err error) {
	head, path, checkpoint, err := cutProof(text, ConsistencyFormat, 1)
	if err != nil {
		return c, malformed(err)
	}
	words := strings.Split(head[0], " ")
	if len(words) != 3 || words[0] != "old" {
		return c, malformed(errors.New("the line of the earlier tree is missing"))
	}
	if c.Size, err = strconv.ParseUint(words[1], 10, 64); err != nil || c.Size >= MaxSize {
		return c, fmt.Errorf("%q is not the size of a tree", words[1])
	}
	if err := c.Root.UnmarshalText([]byte(words[2])); err != nil {
		return c, malformed(err)
	}
	c.Path, c.Checkpoint = path, checkpoint
	return c, nil
}

// Verify checks the proof with the key and an earlier checkpoint that was opened with it:
// the later checkpoint is signed, and the entries of the earlier one are the beginning of
// those of the later one.
func (c Consistency) Verify(v Verifier, old Checkpoint) error {
	cp, err := v.Open(c.Checkpoint)
	if err != nil {
		return err
	}
	if old.Origin != cp.Origin {
		return fmt.Errorf("the earlier checkpoint is of the log %q, the later one of %q", old.Origin, cp.Origin)
	}
	if old.Size != c.Size || old.Root != c.Root {
		return fmt.Errorf("the proof begins at the %d records of %s, the earlier checkpoint covers the %d of %s", c.Size, c.Root, old.Size, old.Root)
	}
	return c.check(cp)
}

// check verifies the path with both trees.
func (c Consistency) check(cp Checkpoint) error {
	fails := fmt.Errorf("the %d records of %s are not the beginning of the %d of %s", c.Size, c.Root, cp.Size, cp.Root)
	switch {
	case c.Size > cp.Size || cp.Size >= MaxSize || len(c.Path) > maxPath:
		return fails
	case c.Size == 0:
		// Every log begins with the empty one; its proof is empty.
		if len(c.Path) > 0 || c.Root != EmptyRoot() {
			return fails
		}
		return nil
	}
	if tlog.CheckTree(tlogPath(c.Path), int64(cp.Size), tlog.Hash(cp.Root), int64(c.Size), tlog.Hash(c.Root)) != nil {
		return fails
	}
	return nil
}
