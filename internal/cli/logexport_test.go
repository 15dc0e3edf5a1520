package cli

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/evidence/page"
)

// verified verifies a folder with a key, as tocsin-verify does.
func verified(t *testing.T, dir, key string) export.Report {
	t.Helper()
	v, err := evidence.NewVerifier(key)
	require.NoError(t, err)
	report, err := page.VerifyExport(context.Background(), dir, v, func(uint64, uint64) {})
	require.NoError(t, err)
	return report
}

// aLog has rules, a story that was removed in part, and stories to fill tiles.
func aLog(t *testing.T) *fakeLog {
	f := startFakeLog(t)
	unused := f.rules("statute", "unused", "title: unused\n")
	rules := event.Rules{Packs: map[string]string{"law": f.rules("statute", "law", "title: law\n")}, Register: f.rules("register", "register", "desks: []\n")}
	require.NotEmpty(t, unused)
	x := f.story("inc-1", "停电 <script>alert(1)</script>", rules) // 4 to 6
	f.acknowledge(x, *rendertest.After(70))                      // 7
	f.story("inc-2", "second", rules)                            // 8 to 10
	f.remove(4)                                                  // 11
	for i := range 300 {
		f.story(fmt.Sprintf("more-%d", i), "more", rules)
	}
	f.sign()
	return f
}

// An export contains the log's records of a range; it verifies without the server, and
// shows a person who was told what.
func TestExport_VerifiesOffline(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	code, out, errOut := f.run("log", "export", "--from", "4", "--to", "10", dir)
	require.Equal(t, exitOK, code, errOut)
	report := verified(t, dir, f.key.Verifier())
	require.Empty(t, report.Findings)
	require.EqualValues(t, []uint64{4, 10, 6, 1}, []uint64{report.First, report.Last, report.Records, report.Removed})
	require.Contains(t, out, report.Manifest)
	require.True(t, report.PageCompared, "the verifier renders the same page from the records")
	require.Empty(t, report.Unproved)
	require.Contains(t, out, "tocsin-verify --key "+f.key.Verifier()+" "+dir)

	rules, err := filepath.Glob(filepath.Join(dir, "rules", "*.yaml"))
	require.NoError(t, err)
	require.Len(t, rules, 2, "the pack and the register that decided, not what else there is")

	raw, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	page := html.UnescapeString(string(raw))
	escaped := string(raw)
	for _, want := range []string{
		"grid-east/inc-1", "desk-a", "Law, art. 4 & 5", "[未核实 unverified]", "迟报 10分钟 late by 10m",
		"重大 major", "逾期签收 acknowledged late", "范围内无签收记录", "#11", "法规包 statute pack law", "登记册 register register",
		f.key.Verifier(), f.cp.Note, "2026-03-01 12:40:00.000 +08:00", "tocsin-verify --key KEY .",
	} {
		require.Contains(t, page, want)
	}
	for _, want := range []string{"停电 &lt;script&gt;alert(1)", "post &lt;b&gt;", "order &lt;7&gt;"} {
		require.Contains(t, escaped, want)
	}
	require.NotContains(t, escaped, "<script")
	require.NotContains(t, page, "more-1", "nothing of what is not in the folder")
	require.Empty(t, regexp.MustCompile(`(?i)(src=|@import|url\(|href="(?:[a-z]+:|//))`).FindAllString(escaped, -1), "nothing from elsewhere")
	require.NotContains(t, page, "ZgotmplZ")

	code, _, errOut = f.run("log", "export", dir)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "is not empty")
	require.NoDirExists(t, dir+".unfinished")
}

// An existing empty folder is accepted for the evidence, also through a link; one without
// a name of its own is refused before anything is done.
func TestExport_IntoEmptyFolder(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	export := func(to string) {
		t.Helper()
		code, out, errOut := f.run("log", "export", "--to", "10", "--since", "1600-01-01", "--until", "9999-12-31", to)
		require.Equal(t, exitOK, code, errOut)
		require.Contains(t, out, to)
		require.Empty(t, verified(t, to, f.key.Verifier()).Findings)
		require.NoDirExists(t, to+".unfinished")
	}
	require.NoError(t, os.Mkdir(dir, 0o700))
	export(dir)

	elsewhere, link := filepath.Join(t.TempDir(), "elsewhere"), dir+"-link"
	require.NoError(t, os.Mkdir(elsewhere, 0o700))
	require.NoError(t, os.Symlink(elsewhere, link))
	export(link)
	require.FileExists(t, filepath.Join(elsewhere, "manifest.json"))

	f.pages = 0
	for _, nameless := range []string{".", "..", "../.."} {
		code, _, errOut := f.run("log", "export", nameless)
		require.Equal(t, exitUnreachable, code, nameless)
		require.Contains(t, errOut, "name the folder")
	}
	require.Zero(t, f.pages)
}

// Any bit of the records that is not as it was is found, and the record named.
func TestExport_FlippedBitIsReported(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	code, out, errOut := f.run("log", "export", dir, "--json")
	require.Equal(t, exitOK, code, errOut)
	require.EqualValues(t, 911, decode(t, out)["last"])
	require.EqualValues(t, 1, decode(t, out)["removed"])
	require.Greater(t, f.pages, 100, "page by page")
	name := filepath.Join(dir, "records.jsonl")
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	at := bytes.Index(raw, []byte(`"record":500,`)) + bytes.IndexByte(raw[bytes.Index(raw, []byte(`"record":500,`)):], '\n') - 8
	raw[at] ^= 1
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	report := verified(t, dir, f.key.Verifier())
	require.NotEmpty(t, report.Findings)
	named := false
	for _, found := range report.Findings {
		named = named || found.Record == 500
	}
	require.True(t, named, "%+v", report.Findings)
}

// A record from the server that is not in the tree does not get into an export.
func TestExport_RefusesRecordOutsideTree(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	f.records[20].Body = bytes.Replace(f.records[20].Body, []byte("grid-east"), []byte("grid-west"), 1)
	dir := filepath.Join(t.TempDir(), "evidence")
	code, _, errOut := f.run("log", "export", dir)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "record 21")
	require.NoDirExists(t, dir)

	f.records[20].Body = bytes.Replace(f.records[20].Body, []byte("grid-west"), []byte("grid-east"), 1)
	code, _, errOut = f.run("log", "export", dir)
	require.Equal(t, exitOK, code, "what was left unfinished is in nobody's way: %s", errOut)
	require.Empty(t, verified(t, dir, f.key.Verifier()).Findings)
}

func TestExport_EmptyRange(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	code, _, errOut := f.run("log", "export", "--from", "912", filepath.Join(t.TempDir(), "e"))
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "no record")
	code, _, errOut = f.run("log", "export", "--from", "9", "--to", "8", filepath.Join(t.TempDir(), "e"))
	require.Equal(t, exitUnreachable, code, errOut)
}

// Records that an archive kept in between are in the export, and the removed ones are
// accounted for.
func TestExport_AfterArchive(t *testing.T) {
	t.Parallel()
	f := startFakeLog(t)
	rules := event.Rules{Register: f.rules("register", "register", "desks: []\n")}
	f.story("inc-1", "t", rules) // 2 to 4
	f.story("inc-2", "t", rules) // 5 to 7
	f.archive(2, true, false, true, true)
	f.sign()
	dir := filepath.Join(t.TempDir(), "evidence")
	code, _, errOut := f.run("log", "export", dir)
	require.Equal(t, exitOK, code, errOut)
	report := verified(t, dir, f.key.Verifier())
	require.Empty(t, report.Findings)
	require.EqualValues(t, 3, report.Removed)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "#2–#5 (3)")
}
