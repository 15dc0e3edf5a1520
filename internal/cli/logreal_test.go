package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// done runs a command line that must succeed against a server.
func (s *server) done(args ...string) string {
	s.t.Helper()
	code, out, errOut := tocsin(s.t, "", append(args, "--server", s.url(), "--lang", "en")...)
	require.Equal(s.t, exitOK, code, "%s\n%s%s", args, out, errOut)
	return out
}

// reportTo sends the major report, under an id and title of its own, and waits until its
// desks are told.
func reportTo(t *testing.T, s *server, incident, title string) map[string]any {
	t.Helper()
	body := strings.NewReplacer(`"inc-1"`, fmt.Sprintf("%q", incident), `"facilities"`, fmt.Sprintf(`"title":%q,"facilities"`, title)).Replace(majorReport)
	code, out, errOut := tocsin(t, body, "report", "--server", s.url(), "--json")
	require.Equal(t, exitOK, code, out+errOut)
	require.Eventually(t, func() bool {
		_, rows, _ := tocsin(t, "", "log", "query", "--operator", "grid-east", "--text", title, "--json", "--server", s.url())
		return strings.Count(rows, `"`+incident+`"`) == 4
	}, 30*time.Second, 20*time.Millisecond, "the four desks are told")
	return decode(t, out)
}

// TestLog_EvidenceEndToEnd follows a regulator with a real server: query, count, prove,
// export, and verify without the server.
func TestLog_EvidenceEndToEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	receipt := reportTo(t, s, "inc-1", "华东电网调度中断")
	reportTo(t, s, "inc-2", "Another title")
	key := strings.TrimSpace(s.done("log", "key"))
	then := s.done("log", "checkpoint")
	s.done("desk", "ack", "protection-energy", "protection-energy.grid-east.inc-1.1", "--officer", "duty-officer")

	require.Equal(t, 4, strings.Count(s.done("log", "query", "--text", "调度", "--json"), "\n"), "a word of two characters is found")
	require.Contains(t, s.done("log", "stats", "--by", "grade", "--desk", "protection-energy"), "major     2")

	v, err := evidence.NewVerifier(key)
	require.NoError(t, err)
	record := uint64(receipt["record"].(float64))
	proof, err := evidence.ParseProof(s.done("log", "prove", fmt.Sprint(record)))
	require.NoError(t, err)
	_, err = proof.Verify(v)
	require.NoError(t, err)
	require.Equal(t, receipt["entry"], proof.Record.Entry().String(), "the receipt named the entry before there was a proof")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "then"), []byte(then), 0o600))
	earlier, err := v.Open(then)
	require.NoError(t, err)
	grown, err := evidence.ParseConsistency(s.done("log", "prove", "--since", filepath.Join(dir, "then")))
	require.NoError(t, err)
	require.NoError(t, grown.Verify(v, earlier))

	require.Contains(t, s.done("log", "audit"), "no damage is known")
	require.Contains(t, s.done("log", "status"), "no damage is known")

	out := s.done("log", "export", "--since", "2026-01-01", filepath.Join(dir, "evidence"))
	report := verified(t, filepath.Join(dir, "evidence"), key)
	require.Empty(t, report.Findings)
	require.Contains(t, out, report.Manifest)
	page, err := os.ReadFile(filepath.Join(dir, "evidence", "index.html"))
	require.NoError(t, err)
	for _, want := range []string{"grid-east/inc-1", "华东电网调度中断", "protection-energy", "duty-officer", "statute pack cn-csirm-2025", "[解释 interpretation]"} {
		require.Contains(t, string(page), want)
	}
	require.Contains(t, string(page), "迟报", "discovered in January, reported when the test ran")
}

// TestRedact_KeepsOtherProofs removes a record permanently: it is no longer in the
// story, a query for it returns the order, and everything else is proved as before.
func TestRedact_KeepsOtherProofs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	record := fmt.Sprint(reportTo(t, s, "inc-1", "a secret")["record"])
	next := fmt.Sprint(reportTo(t, s, "inc-2", "another")["record"])
	out := s.done("log", "redact", record, "--order", "order-7", "--officer", "duty-officer", "--yes", "--json")
	removal := fmt.Sprint(decode(t, out)["record"])
	require.NotEmpty(t, decode(t, out)["copies"], "the revision repeats the report's facts")

	require.Contains(t, s.done("log", "show", "grid-east/inc-1"), "removed  #"+record+" received, by order order-7 (duty-officer)")
	require.NotContains(t, s.done("log", "show", "grid-east/inc-1", "--json"), `"type":"accepted","at":`)
	code, out, errOut := tocsin(t, "", "log", "prove", record, "--server", s.url())
	require.Equal(t, exitRefused, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "order-7")
	require.Contains(t, errOut, removal)
	key := strings.TrimSpace(s.done("log", "key"))
	v, err := evidence.NewVerifier(key)
	require.NoError(t, err)
	for _, n := range []string{next, removal} {
		proof, err := evidence.ParseProof(s.done("log", "prove", n))
		require.NoError(t, err)
		_, err = proof.Verify(v)
		require.NoError(t, err)
	}
	require.Contains(t, s.done("log", "redact", record, "--order", "order-8", "--officer", "x", "--yes"), "removed before  #"+record+"  removal #"+removal)
	require.Contains(t, s.done("log", "audit"), "1 of them removed")
	dir := filepath.Join(t.TempDir(), "evidence")
	s.done("log", "export", "--to", next, dir)
	report := verified(t, dir, key)
	require.Empty(t, report.Findings)
	require.EqualValues(t, 1, report.Removed)

	s.kill()
	s.start()
	require.Contains(t, s.done("log", "audit"), "no damage is known")
	require.Eventually(t, func() bool {
		answer, err := http.Get("http://" + s.http + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil && answer.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
}

// Records younger than the law's retention are kept, and the answer gives the reason.
func TestArchive_RefusesYoungRecords(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	reportTo(t, s, "inc-1", "title")
	dir := filepath.Join(t.TempDir(), "archive")
	code, _, errOut := tocsin(t, "", "log", "archive", dir, "--before", "2100-01-01", "--officer", "archivist", "--yes", "--server", s.url())
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "$.last: ")
	require.NoDirExists(t, dir, "nothing was written for it")
	require.NoDirExists(t, dir+".unfinished")
	require.NotContains(t, s.done("log", "show", "grid-east/inc-1"), "removed")
}

// A drill has a log of its own, with a key of its own.
func TestDrill_HasItsOwnLog(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	code, out, _ := tocsin(t, majorReport, "report", "--exercise", "--server", s.url(), "--json")
	require.Equal(t, exitOK, code, out)
	s.done("desk", "watch", "protection-energy", "--exercise", "--count", "1")
	dir := filepath.Join(t.TempDir(), "drill")
	s.done("log", "export", "--exercise", dir)
	key := strings.TrimSpace(s.done("log", "key", "--exercise"))
	require.Empty(t, verified(t, dir, key).Findings)
	require.NotEqual(t, key, strings.TrimSpace(s.done("log", "key")))
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "Records of a drill")
	require.Contains(t, string(page), "grid-east/inc-1")
}
