package evidence

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func (l *testLog) prove(t require.TestingT, sequence uint64) Proof {
	path, err := ProveInclusion(l.tiles, l.cp.Size, sequence-1)
	require.NoError(t, err)
	return Proof{Record: l.records[sequence-1], Path: path, Checkpoint: l.cp.Note}
}

func (l *testLog) extend(t require.TestingT, old uint64) Consistency {
	path, err := ProveConsistency(l.tiles, old, l.cp.Size)
	require.NoError(t, err)
	root, err := Root(l.tiles, old)
	require.NoError(t, err)
	return Consistency{Size: old, Root: root, Path: path, Checkpoint: l.cp.Note}
}

// anyLog is a log of random records.
func anyLog(t *rapid.T) *testLog {
	records := rapid.SliceOfN(anyRecord(), 1, 40).Draw(t, "records")
	for i := range records {
		records[i].Sequence = uint64(i + 1)
	}
	return logOf(t, records)
}

// flip changes one bit of a text.
func flip(t *rapid.T, text string) string {
	changed := []byte(text)
	bit := rapid.IntRange(0, 8*len(text)-1).Draw(t, "bit")
	changed[bit/8] ^= 1 << (bit % 8)
	return string(changed)
}

func checkProof(text string, v Verifier) (Proof, error) {
	p, err := ParseProof(text)
	if err == nil {
		_, err = p.Verify(v)
	}
	return p, err
}

func TestProof_FlippedBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := anyLog(t)
		n := rapid.Uint64Range(1, l.cp.Size).Draw(t, "record")
		text := l.prove(t, n).String()
		p, err := checkProof(text, l.verifier)
		require.NoError(t, err)
		require.Equal(t, l.records[n-1].Entry(), p.Record.Entry())
		_, err = checkProof(flip(t, text), l.verifier)
		require.Error(t, err)
	})
}

// TestProof_EveryByteCounts flips bits in each byte, where a random bit could miss that two
// bytes are accepted alike: the lowest, that of upper and lower case, and another.
func TestProof_EveryByteCounts(t *testing.T) {
	t.Parallel()
	l := logOf(t, plain(5))
	for _, text := range []string{l.prove(t, 2).String(), l.extend(t, 3).String()} {
		old := l.checkpoint(t, 3)
		check := func(text string) error {
			if c, err := ParseConsistency(text); err == nil {
				return c.Verify(l.verifier, old)
			}
			_, err := checkProof(text, l.verifier)
			return err
		}
		require.NoError(t, check(text))
		for i := range len(text) {
			for _, bit := range []int{0, 5, 1 + i%7} {
				changed := []byte(text)
				changed[i] ^= 1 << bit
				require.Error(t, check(string(changed)), "bit %d of byte %d: %s", bit, i, changed)
			}
		}
	}
}

// TestForgedProofs are well-formed proofs of false statements.
func TestForgedProofs(t *testing.T) {
	t.Parallel()
	l := logOf(t, plain(300))
	good := l.prove(t, 200)
	for name, change := range map[string]func(p *Proof){
		"another body":                 func(p *Proof) { p.Record.Body = []byte("{}") },
		"another header":               func(p *Proof) { p.Record.Header = nil },
		"another subject":              func(p *Proof) { p.Record.Subject += "x" },
		"another place":                func(p *Proof) { p.Record.Sequence = 201 },
		"a place that is not":          func(p *Proof) { p.Record.Sequence = 301 },
		"no place":                     func(p *Proof) { p.Record.Sequence = 0 },
		"a hash too few":               func(p *Proof) { p.Path = p.Path[1:] },
		"a hash too many":              func(p *Proof) { p.Path = append(p.Path, Hash{}) },
		"more hashes than there can":   func(p *Proof) { p.Path = make([]Hash, 100) },
		"the checkpoint of less":       func(p *Proof) { p.Checkpoint = l.checkpoint(t, 256).Note },
		"a checkpoint that is not one": func(p *Proof) { p.Checkpoint = "x\n" },
		"nothing signed":               func(p *Proof) { p.Checkpoint = l.cp.text() },
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			p.Path = append([]Hash(nil), good.Path...)
			change(&p)
			_, err := p.Verify(l.verifier)
			require.Error(t, err)
		})
	}
	_, err := good.Verify(Verifier{})
	require.Error(t, err)
}

func TestProofFile(t *testing.T) {
	t.Parallel()
	l := logOf(t, plain(1))
	require.Regexp(t, "^c2sp.org/tlog-proof@v1\nextra [^\n]+\nindex 0\n\nlog.example.com/test\n1\n", l.prove(t, 1).String())
	good := logOf(t, plain(3)).prove(t, 2).String()
	for _, c := range [][2]string{
		{"c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"}, {"extra ", ""}, {"index 1", "index 01"}, {"index 1", "index 2"}, {"index 1\n", ""},
		{"\n\n", "\n"}, {"\n\n", "\n\n\n"}, {"=\n", "\n"}, {"\n", "\r\n"}, {"extra ", "extra  "}, {"extra ", "extra !"},
	} {
		changed := strings.Replace(good, c[0], c[1], 1)
		require.NotEqual(t, good, changed)
		_, err := checkProof(changed, logOf(t, plain(3)).verifier)
		require.Error(t, err, "%q for %q", c[1], c[0])
	}
	_, err := ParseProof(strings.Replace(good, "\n\n", strings.Repeat("\n"+Hash{}.String(), 100)+"\n\n", 1))
	require.ErrorContains(t, err, "more hashes than a tree has levels")
}

func TestConsistency_AnyTwoSizes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := anyLog(t)
		n := rapid.Uint64Range(0, l.cp.Size).Draw(t, "old")
		old := l.checkpoint(t, n)
		text := l.extend(t, n).String()
		c, err := ParseConsistency(text)
		require.NoError(t, err)
		require.NoError(t, c.Verify(l.verifier, old))
		if c, err = ParseConsistency(flip(t, text)); err == nil {
			require.Error(t, c.Verify(l.verifier, old))
		}
	})
}

// TestConsistency_ForkIsRefused rewrites a log behind an old checkpoint.
func TestConsistency_ForkIsRefused(t *testing.T) {
	t.Parallel()
	l := logOf(t, plain(600))
	old := l.checkpoint(t, 300)
	rewritten := plain(600)
	rewritten[41].Body = []byte(`{"title":"nothing happened"}`)
	fork := logOf(t, rewritten)
	c := fork.extend(t, 300)
	require.ErrorContains(t, c.Verify(l.verifier, old), "the proof begins at the 300 records")
	c.Root = old.Root
	require.ErrorContains(t, c.Verify(l.verifier, old), "are not the beginning of")
	c = l.extend(t, 300)
	require.NoError(t, c.Verify(l.verifier, old))
	c.Path = append(c.Path, Hash{})
	require.Error(t, c.Verify(l.verifier, old))
	c.Path = make([]Hash, 100)
	require.Error(t, c.Verify(l.verifier, old))
	// Of the same size, and of the empty log.
	require.NoError(t, l.extend(t, 600).Verify(l.verifier, l.cp))
	require.Error(t, l.extend(t, 600).Verify(l.verifier, fork.cp))
	require.NoError(t, l.extend(t, 0).Verify(l.verifier, l.checkpoint(t, 0)))
	// The later one is older.
	c = l.extend(t, 600)
	c.Checkpoint = old.Note
	require.Error(t, c.Verify(l.verifier, l.cp))
	other := old
	other.Origin = "log.example.com/other"
	require.ErrorContains(t, l.extend(t, 300).Verify(l.verifier, other), "is of the log")
}

func FuzzParseProof(f *testing.F) {
	l := logOf(f, plain(3))
	f.Add(l.prove(f, 2).String())
	f.Add(l.prove(f, 3).String())
	f.Add(fmt.Sprintf("%s\nextra e30=\nindex 0\n\nx", ProofFormat))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		require.Equal(t, text, p.String())
		if _, err := p.Verify(l.verifier); err == nil {
			require.Equal(t, l.records[p.Record.Sequence-1].Line(), p.Record.Line())
		}
	})
}

func FuzzParseConsistency(f *testing.F) {
	l := logOf(f, plain(3))
	old := l.checkpoint(f, 2)
	f.Add(l.extend(f, 2).String())
	f.Add(l.extend(f, 0).String())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConsistency(text)
		if err != nil {
			return
		}
		require.Equal(t, text, c.String())
		if err := c.Verify(l.verifier, old); err == nil {
			require.Equal(t, old.Root, c.Root)
		}
	})
}
