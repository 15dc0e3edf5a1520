package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/printable"
)

const majorReport = `{"specversion":"1.0","type":"tocsin.report.initial.v1","source":"urn:tocsin:operator:grid-east","id":"r1","subject":"inc-1",
 "data":{"facilities":["dispatch"],"discoveredAt":"2026-01-01T00:00:00Z","containsNoStateSecrets":true,
 "facts":{"directLoss":{"amount":20000000,"currency":"CNY"}}}}`

func decode(t *testing.T, line string) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(line), &v), line)
	return v
}

func keys(t *testing.T, v map[string]any, want ...string) {
	t.Helper()
	for _, k := range want {
		assert.Contains(t, v, k)
	}
}

func TestReport_ExitCodesAndJSON(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	code, out, _ := tocsin(t, majorReport, "report", "--server", s.url(), "--json")
	require.Equal(t, exitOK, code)
	receipt := decode(t, out)
	keys(t, receipt, "status", "operator", "incident", "report", "record", "digest", "receivedAt")
	assert.Equal(t, "accepted", receipt["status"])

	code, out, _ = tocsin(t, majorReport, "report", "--server", s.url(), "--json", "-")
	assert.Equal(t, exitOK, code, "a duplicate counts as accepted")
	assert.Equal(t, "duplicate", decode(t, out)["status"])

	code, out, _ = tocsin(t, strings.Replace(majorReport, "20000000", "20000001", 1), "report", "--server", s.url(), "--json")
	assert.Equal(t, exitRefused, code)
	assert.Equal(t, "conflict", decode(t, out)["status"])

	many := strings.Join(strings.Fields(strings.Replace(majorReport, `"r1"`, `"r2"`, 1)), " ") + "\n{\"specversion\":\"1.0\"}\n"
	code, out, _ = tocsin(t, many, "report", "--server", s.url(), "--operator", "grid-east", "--json")
	assert.Equal(t, exitRefused, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2, "one receipt a report, in order")
	assert.Equal(t, "accepted", decode(t, lines[0])["status"])
	rejected := decode(t, lines[1])
	assert.Equal(t, "rejected", rejected["status"])
	assert.NotContains(t, rejected, "record")
	keys(t, rejected["errors"].([]any)[0].(map[string]any), "path", "message")

	code, out, _ = tocsin(t, "", "desk", "watch", "protection-energy", "--server", s.url(), "--count", "1", "--json")
	require.Equal(t, exitOK, code)
	row := decode(t, out)
	keys(t, row, "escalation", "desk", "incident", "operator", "revision", "grade", "duties", "from", "act", "dueAt",
		"reportedAt", "late", "acknowledgeBy", "acknowledgedAt", "state", "exercise", "record")
	keys(t, row["duties"].([]any)[0].(map[string]any), "statute", "duty", "from", "desk", "act", "dueAt", "citation", "confidence")
	assert.Equal(t, "protection-energy.grid-east.inc-1.1", row["escalation"])

	code, out, errOut := tocsin(t, "", "desk", "ack", "protection-energy", "protection-energy.grid-east.inc-1.1", "--server", s.url(), "--officer", "duty-officer", "--json")
	require.Equal(t, exitOK, code, errOut)
	assert.Equal(t, "accepted", decode(t, out)["status"])
	code, _, _ = tocsin(t, "", "desk", "ack", "protection-energy", "protection-energy.grid-east.nothing.1", "--server", s.url(), "--officer", "duty-officer")
	assert.Equal(t, exitRefused, code)

	code, out, errOut = tocsin(t, "", "log", "query", "--server", s.url(), "--limit", "1", "--csv", "--grade", "major")
	require.Equal(t, exitOK, code, errOut)
	assert.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 2, "a header and a row")
	assert.Contains(t, errOut, "--cursor ")
	code, _, _ = tocsin(t, "", "log", "show", "grid-east/none", "--server", s.url())
	assert.Equal(t, exitRefused, code)
}

func TestDeskWatch_ShowsReasons(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	progress := `{"specversion":"1.0","type":"tocsin.report.%s.v1","source":"urn:tocsin:operator:grid-east","id":"%s","subject":"inc-1","data":{"containsNoStateSecrets":true,%s}}`
	for _, report := range []string{majorReport,
		fmt.Sprintf(progress, "progress", "r2", `"facts":{"directLoss":{"amount":5000000,"currency":"CNY"}}`),
		fmt.Sprintf(progress, "withdrawal", "r3", `"reason":"duplicate","duplicateOf":"inc-0"`)} {
		code, out, _ := tocsin(t, report, "report", "--server", s.url())
		require.Equal(t, exitOK, code, out)
	}
	code, out, errOut := tocsin(t, "", "desk", "watch", "national-cyberspace", "--server", s.url(), "--count", "3", "--json")
	require.Equal(t, exitOK, code, errOut)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	fall, withdrawn := decode(t, lines[1]), decode(t, lines[2])
	assert.Equal(t, "lowered", fall["change"])
	assert.Contains(t, fall["reason"], "facts.directLoss")
	assert.Contains(t, fall["lost"], "cn-csirm-2025/direct-loss-major")
	assert.Equal(t, "withdrawn", withdrawn["change"])
	assert.Equal(t, map[string]any{"reason": "duplicate", "duplicateOf": "inc-0"}, withdrawn["withdrawal"])
	assert.Nil(t, withdrawn["acknowledgedBy"])
	assert.Contains(t, withdrawn, "acknowledgedBy")
}

func TestExitCode_UnreachableServer(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	defer running.Wait()
	nobody := "nats://" + freePort(t)
	for _, args := range [][]string{{"report"}, {"desk", "watch", "d"}, {"desk", "ack", "d", "d.o.i.1", "--officer", "x"}, {"log", "query"}, {"log", "show", "o/i"},
		{"desk", "close", "d", "o/i", "--officer", "x"}, {"desk", "list"}, {"desk", "handover", "d"}, {"owed", "o"}, {"owed", "o", "--follow"}, {"drill", "report"}, {"drill", "clock"},
		{"log", "stats"}, {"log", "key"}, {"log", "checkpoint"}, {"log", "status"}, {"log", "prove", "1"}, {"log", "audit"}, {"log", "export", filepath.Join(t.TempDir(), "e")},
		{"log", "redact", "1", "--order", "o", "--officer", "p", "--yes"}, {"log", "archive", filepath.Join(t.TempDir(), "a"), "--before", "2026-01-01", "--officer", "p", "--yes"}} {
		running.Go(func() {
			code, _, errOut := tocsin(t, majorReport, append(args, "--server", nobody, "--timeout", "300ms")...)
			assert.Equal(t, exitUnreachable, code, args)
			assert.Contains(t, errOut, nobody)
		})
	}
}

func TestExitCode_InvalidCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"report", "--nonsense"}, {"import", "veris", "f"}, {"desk", "ack", "only-one"}, {"log", "show", "no-slash"},
		{"log", "query", "--since", "yesterday"}, {"grade", "--at", "noon"}, {"serve", "now"}, {"--lang", "fr", "grade"},
		{"log", "query", "--json", "--csv"}, {"drill", "report", "--since", "then"}, {"drill", "report", "--exercise"}, {"drill", "clock", "now"},
		{"log", "key", "--creds", os.DevNull}, {"log", "key", "now"}, {"log", "key", "--timeout", "0"}, {"log", "key", "--timeout", "soon"}, {"log", "export"}, {"log", "export", "d", "--since", "then"}, {"log", "export", "d", "--from", "first"}, {"log", "stats", "--grade", "bad"},
	} {
		code, _, errOut := tocsin(t, "", args...)
		assert.Equal(t, exitUnreachable, code, args)
		assert.NotEmpty(t, errOut)
	}
}

func TestServe_RefusesUnsafeFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"only loopback is allowed":    {"--nats-listen", "0.0.0.0:0"},
		"only loopback":               {"--http-listen", "192.0.2.1:8080"},
		"no role \"nobody\"":          {"--role", "nobody"},
		"no such file":                {"--register", "missing.yaml"},
		"cannot be its own next desk": {"--register", registerWith(t, "next: xj-cyberspace", "next: urumqi-cyberspace")},
		"nobody can receive the duty": {"--register", registerWith(t, "level: prefecture", "level: county")},
	} {
		code, _, errOut := tocsin(t, "", append([]string{"serve", "--data", t.TempDir(), "--nats-listen", "127.0.0.1:0", "--http-listen", ""}, args...)...)
		wantCode := exitRefused
		if want == "no such file" {
			wantCode = exitUnreachable // a file on the command line does not exist
		}
		assert.Equal(t, wantCode, code)
		assert.Contains(t, errOut, want)
	}
}

// registerWith writes the example register with one thing replaced.
func registerWith(t *testing.T, old, new string) string {
	t.Helper()
	raw, err := os.ReadFile("../../schemas/register/example.yaml")
	require.NoError(t, err)
	require.Contains(t, string(raw), old)
	name := filepath.Join(t.TempDir(), "register.yaml")
	require.NoError(t, os.WriteFile(name, bytes.Replace(raw, []byte(old), []byte(new), 1), 0o600))
	return name
}

func TestServe_RefusesFolderInUse(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	code, _, errOut := tocsin(t, "", "serve", "--data", filepath.Join(s.dir, "data"), "--nats-listen", "127.0.0.1:0", "--http-listen", "")
	assert.Equal(t, exitRefused, code)
	assert.Contains(t, errOut, "in use by another tocsin")
}

func TestGradeAndCheck_NeedNoServer(t *testing.T) {
	t.Parallel()
	code, out, errOut := tocsin(t, majorReport, "grade", "--json", "--at", "2026-01-01T00:10:00Z")
	require.Equal(t, exitOK, code, errOut)
	g := decode(t, out)
	keys(t, g, "grade", "couldBe", "hits", "unknown", "next", "duties")
	assert.Equal(t, "major", g["grade"])
	hit := g["hits"].([]any)[0].(map[string]any)
	keys(t, hit, "statute", "criterion", "grade", "citation", "confidence")
	duty := g["duties"].([]any)[0].(map[string]any)
	assert.Regexp(t, `\.\d{3}`, duty["dueAt"], "to the millisecond at least")

	code, out, _ = tocsin(t, majorReport+strings.Replace(majorReport, "dispatch", "kitchen", 1), "report", "--check", "--lang", "zh")
	assert.Equal(t, exitRefused, code)
	assert.Contains(t, out, "重大")
	assert.Contains(t, out, "protection-energy")
	assert.Contains(t, out, `$.data.facilities[0]: grid-east has no facility "kitchen" in the register`)
}

func TestStatute_Commands(t *testing.T) {
	t.Parallel()
	code, out, _ := tocsin(t, "", "statute", "list", "--lang", "zh")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "cn-csirm-2025")
	assert.Contains(t, out, "国家网络安全事件报告管理办法")
	code, out, _ = tocsin(t, "", "statute", "show", "cn-csirm-2025", "--lang", "en")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "  confidence: unverified\n")
	code, _, _ = tocsin(t, "", "statute", "show", "none")
	assert.Equal(t, exitRefused, code)
	code, out, errOut := tocsin(t, "", "statute", "check", "../../schemas/statutes")
	require.Equal(t, exitOK, code, out+errOut)
	assert.Contains(t, out, " packs, 0 findings\n")
}

func TestDemo_ShowsEveryGradeAndEnds(t *testing.T) {
	code, out, errOut := tocsin(t, "", "demo", "--once", "--lang", "zh", "--nats-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	require.Equal(t, exitOK, code, errOut)
	for _, want := range []string{"第 1 版: 一般", "第 1 版: 较大", "第 2 版: 重大", "第 1 版: 特别重大", "时间届至", "(升高)", "(降低)", "urumqi-cyberspace", "duty-officer"} {
		assert.Contains(t, out, want)
	}
}

func TestOutput_EscapesTerminalControls(t *testing.T) {
	var b bytes.Buffer
	_, err := printable.Writer{Out: &b}.Write([]byte("a\x1b[31mb\u009bc\n"))
	require.NoError(t, err)
	assert.Equal(t, "a\\u001b[31mb\\u009bc\n", b.String())
	b.Reset()
	_, err = printable.Writer{Out: &b}.Write([]byte("全省\u202e断电\u200b，\u2066（三号）\u2069\u2028𠮷\ufeff葛\U000e0100\n"))
	require.NoError(t, err)
	assert.Equal(t, `全省\u202e断电\u200b，\u2066（三号）\u2069\u2028𠮷\ufeff葛`+"\U000e0100\n", b.String(), "what reverses a line or hides in it is shown, Chinese stays")
	assert.Equal(t, `停电 #9\u2028签收`, printable.Line("停电\n#9\u2028签收"), "a title cannot write the next line")
	var errOut bytes.Buffer
	(&environment{Printer: &render.Printer{ErrOut: &errOut}}).fail(errors.New("no field \"\u202etitel\x1b\""))
	assert.Equal(t, "tocsin: no field \"\\u202etitel\\u001b\"\n", errOut.String())
}

func TestReport_ProgressWithoutInitialWarns(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	progress := `{"specversion":"1.0","type":"tocsin.report.progress.v1","source":"urn:tocsin:operator:grid-east","id":"p%","subject":"mistyped","data":{"containsNoStateSecrets":true}}`
	for i, warned := range []bool{true, false} {
		code, out, _ := tocsin(t, strings.Replace(progress, "%", string(rune('1'+i)), 1), "report", "--server", s.url(), "--json")
		require.Equal(t, exitOK, code)
		receipt := decode(t, out)
		assert.Equal(t, "accepted", receipt["status"])
		assert.Equal(t, warned, receipt["warnings"] != nil, out)
	}
}
