package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// packsWith writes the embedded packs to a folder, with a text of one replaced.
func packsWith(t *testing.T, pack, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, schemas.Statutes))
	file := filepath.Join(dir, pack)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(raw), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(raw), old, new, 1)), 0o600))
	return dir
}

// Packs and register change between a stop and the start: earlier decisions stay, byte
// for byte, and later ones name the new rules.
func TestRules_ChangedAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	quarter := `"facts":{"outage":[{"scope":"overall","duration":"PT15M"}]}`
	w.report("initial", at, inc, "r1", onSite+quarter)
	old := w.settled()
	require.Equal(t, event.RelativelyLarge, old.last(t, at, inc).Grade)
	before := old.last(t, at, inc).Rules
	// One report is accepted and not yet graded when all stops.
	w.shutdown()
	w = startWorldIn(t, dir, func(c *app.Config) { c.Roles = []string{"intake"} })
	w.report("initial", at, "between", "r1", onSite+quarter)
	w.shutdown()

	statutes := packsWith(t, "cn-csirm-2025.yaml", "{fact: facts.outage, where: {scope: overall, cii: true}, atLeast: PT10M}", "{fact: facts.outage, where: {scope: overall, cii: true}, atLeast: PT20M}")
	registerFile := registerWith(t, "acknowledge: PT30M", "acknowledge: PT45M")
	w = startWorldIn(t, dir, func(c *app.Config) { c.Rulebook = rules(t, statutes, registerFile) })
	h := w.settled()
	for i, s := range old.records {
		require.Equal(t, s, h.records[i], "what was decided stays")
	}
	g := h.last(t, at, "between")
	require.Equal(t, event.General, g.Grade, "by the rules in force when it is decided")
	require.NotEqual(t, before.Packs["cn-csirm-2025"], g.Rules.Packs["cn-csirm-2025"])
	require.Equal(t, before.Packs["cn-cii-2021"], g.Rules.Packs["cn-cii-2021"])
	require.NotEqual(t, before.Register, g.Rules.Register)

	// A later report of the first incident is decided by the new rules, and says so.
	w.report("progress", at, inc, "r2", `"cause":"switch"`)
	h = w.settled()
	g = h.last(t, at, inc)
	require.Equal(t, event.General, g.Grade)
	require.Equal(t, event.RelativelyLarge, g.Peak)
	require.Equal(t, event.ChangeLowered, g.Change.Kind)
	require.Equal(t, regional, desks(g))
	require.Len(t, h.graded[at+"/"+inc], 2)

	// Both editions are in the ledger, whole, so that either decision can be
	// made again.
	for sha, r := range h.rules {
		sum := sha256.Sum256([]byte(r.Text))
		require.Equal(t, sha, hex.EncodeToString(sum[:]))
	}
	raw, err := fs.ReadFile(schemas.Statutes, "cn-csirm-2025.yaml")
	require.NoError(t, err)
	require.Equal(t, string(raw), h.rules[before.Packs["cn-csirm-2025"]].Text)
	require.Contains(t, h.rules[g.Rules.Packs["cn-csirm-2025"]].Text, "cii: true}, atLeast: PT20M}")
	require.Contains(t, h.rules[before.Register].Text, "acknowledge: PT30M")
	require.Contains(t, h.rules[g.Rules.Register].Text, "acknowledge: PT45M")
	require.Len(t, h.rules, len(before.Packs)+1+2, "only what is new was added")
	w.shutdown()

	// Starting once more adds nothing.
	w = startWorldIn(t, dir, func(c *app.Config) { c.Rulebook = rules(t, statutes, registerFile) })
	require.Equal(t, h.through, w.settled().through)
}

// A desk that leaves the register is still told of what it was told before.
func TestRegister_DeskRemoved_StillGetsUpdates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	w.shutdown()
	file := registerWith(t, "id: sh-public-security", "id: sh-police")
	w = startWorldIn(t, dir, func(c *app.Config) { c.Rulebook = rules(t, "", file) })
	w.report("progress", at, inc, "r2", `"cause":"switch"`)
	h := w.settled()
	g := h.last(t, at, inc)
	require.Equal(t, []string{"protection-energy", "sh-police", "sh-public-security"}, desks(g))
	require.Equal(t, event.ActReport, h.told(g, "sh-police").Act, "it has not been told")
	require.Equal(t, event.ActUpdate, h.told(g, "sh-public-security").Act)
}

// Work stored before a stop is continued after it, once.
func TestStop_AtAnyStepLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for step, roles := range [][]string{{"intake"}, {"intake", "classifier"}, {"intake", "router"}, {"intake", "classifier", "router"}, nil} {
		w := startWorldIn(t, dir, func(c *app.Config) { c.Roles = roles })
		for i, kind := range []string{"initial", "progress", "progress"} {
			fields := []string{onSite + short, large, grave}[i]
			w.report(kind, at, string(rune('a'+step)), kind+string(rune('0'+i)), fields)
		}
		if roles == nil {
			h := w.settled()
			require.Len(t, h.accepted, 15)
			for i := range 5 {
				g := h.last(t, at, string(rune('a'+i)))
				require.Equal(t, 3, g.Revision)
				require.Equal(t, all4, desks(g))
				require.Len(t, w.story(at, string(rune('a'+i))), 6+2+4)
			}
		}
		w.shutdown()
	}
}
