package cli

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/schemas"
)

// stricterPack writes the pack of the Measures, as if an outage of a quarter of an hour
// were major and the hour of the operator half an hour, and in force later than any test.
func stricterPack(t testing.TB) string {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Statutes, "cn-csirm-2025.yaml")
	require.NoError(t, err)
	text := string(raw)
	for _, change := range [][2]string{
		{"effective: {from: 2025-11-01}", "effective: {from: 2099-01-01}"},
		{"where: {scope: overall, cii: true}, atLeast: PT1H}", "where: {scope: overall, cii: true}, atLeast: PT15M}"},
		{"within: PT1H", "within: PT30M"},
	} {
		require.Contains(t, text, change[0])
		text = strings.Replace(text, change[0], change[1], 1)
	}
	name := filepath.Join(t.TempDir(), "draft.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

var discovered = time.Date(2026, 3, 2, 9, 0, 0, 0, event.Beijing)

// storedReport returns a report as the log has it.
func storedReport(t testing.TB, seq uint64, kind, incident, id, facts string) evidence.Record {
	t.Helper()
	at := discovered.Add(time.Duration(seq) * time.Second)
	r, err := event.NewRecord(event.AcceptedSubject("grid-east", incident, "urn:tocsin:operator:grid-east", id), at, "", &event.Accepted{
		Operator: "grid-east", Incident: incident, Report: id, Source: "urn:tocsin:operator:grid-east",
		Type: "tocsin.report." + kind + ".v1", ReceivedAt: at,
		Event: jsontext.Value(fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"urn:tocsin:operator:grid-east","type":"tocsin.report.%s.v1","subject":%q,`+
			`"data":{"containsNoStateSecrets":true,"facilities":["dispatch"],"title":"调度系统中断","discoveredAt":%q,"facts":%s}}`,
			id, kind, incident, discovered.Format(time.RFC3339), facts)),
	})
	require.NoError(t, err)
	return evidence.Record{Sequence: seq, Subject: r.Subject, Body: r.Data}
}

// exportOf writes the records of an export, as far as replay reads it.
func exportOf(t testing.TB, n int, record func(seq uint64) evidence.Record) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "records.jsonl"))
	require.NoError(t, err)
	out := bufio.NewWriter(f)
	for seq := range uint64(n) {
		_, err := fmt.Fprintf(out, "%s\n", record(seq+1).Line())
		require.NoError(t, err)
	}
	require.NoError(t, out.Flush())
	require.NoError(t, f.Close())
	return dir
}

func TestReplay_OfAnExport(t *testing.T) {
	t.Parallel()
	records := []evidence.Record{
		storedReport(t, 1, "initial", "twenty-minutes", "r1", `{"outage":[{"scope":"overall","duration":"PT20M"}]}`),
		storedReport(t, 2, "initial", "two-hours", "r1", `{"outage":[{"scope":"overall","duration":"PT2H"}]}`),
		storedReport(t, 3, "initial", "nothing", "r1", `{"systemLoss":"none"}`),
		storedReport(t, 4, "progress", "begun-before", "r2", `{"outage":[{"scope":"overall","duration":"PT20M"}]}`),
		storedReport(t, 5, "progress", "twenty-minutes", "r2", `{"outage":[{"scope":"overall","duration":"PT5M"}]}`),
		{Sequence: 6, Subject: "incident.elapsed.grid-east.two-hours.7", Body: []byte(`{}`)},
		{Sequence: 7, Subject: "incident.graded.grid-east.two-hours.1", Body: []byte(`{}`)},
	}
	dir := exportOf(t, len(records), func(seq uint64) evidence.Record { return records[seq-1] })
	pack := stricterPack(t)
	args := []string{"statute", "replay", "--pack", pack, "--since", "2026-03-01", "--export", dir}

	code, out, errOut := tocsin(t, "", append(args, "--json")...)
	require.Equal(t, exitOK, code, errOut)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3, out)
	first, second, sum := decode(t, lines[0]), decode(t, lines[1]), decode(t, lines[2])
	require.Equal(t, "twenty-minutes", first["incident"])
	require.Equal(t, []any{"relatively-large", "major", "general", "general"}, []any{first["peakBefore"], first["peak"], first["gradeBefore"], first["grade"]})
	require.NotEmpty(t, first["added"])
	require.Contains(t, lines[0], `"citationZh":"《国家网络安全事件报告管理办法》第四条第二款"`)
	require.Equal(t, "two-hours", second["incident"])
	require.Equal(t, []any{"major", "major"}, []any{second["peakBefore"], second["peak"]})
	require.Empty(t, second["added"])
	moved := second["moved"].([]any)[0].(map[string]any)
	require.Equal(t, "2026-03-02T02:00:00.000Z", moved["dueBefore"])
	require.Equal(t, "2026-03-02T01:30:00.000Z", moved["duty"].(map[string]any)["dueAt"])
	require.Equal(t, map[string]any{"replayed": 3.0, "changed": 2.0, "earlier": 1.0, "failed": 0.0}, sum)

	code, out, errOut = tocsin(t, "", append(args, "--lang", "zh")...)
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "grid-east/twenty-minutes  较大 → 重大  (最后 一般)\n")
	require.Contains(t, out, "  + national-cyberspace  上报 自 protection-energy  ")
	require.Contains(t, out, "  ≠ protection-energy  报告 自 grid-east  时限 2026-03-02 10:00:00.000 +08:00 → 时限 2026-03-02 09:30:00.000 +08:00 — 《国家网络安全事件报告管理办法》第四条第二款")
	require.Contains(t, out, "重新判定事件 3 起，结果不同 2 起\n另有 1 起")
}

func TestReplay_OfTheLog(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	reportTo(t, s, "inc-1", "Another title")
	stored := func() string {
		n, _, found := strings.Cut(s.done("log", "status"), " records; ")
		require.True(t, found)
		return n
	}
	before := stored()
	out := s.done("statute", "replay", "--pack", stricterPack(t), "--since", "2026-01-01")
	require.Contains(t, out, "grid-east/inc-1  major\n")
	require.Contains(t, out, "1 incidents decided again, 1 come out otherwise\n")
	require.Equal(t, before, stored(), "nothing is written")
}

func TestReplay_Refuses(t *testing.T) {
	t.Parallel()
	dir := exportOf(t, 0, nil)
	run := func(args ...string) (int, string) {
		code, _, errOut := tocsin(t, "", append([]string{"statute", "replay", "--export", dir}, args...)...)
		return code, errOut
	}
	code, errOut := run("--since", "2026-01-01")
	require.Equal(t, exitUnreachable, code)
	require.Contains(t, errOut, "--pack and --since are required")
	code, errOut = run("--pack", "../../schemas/statutes/cn-cii-2021.yaml", "--since", "2026-01-01")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "nothing in it differs")
	code, _ = run("--pack", "none.yaml", "--since", "2026-01-01")
	require.Equal(t, exitUnreachable, code)
	torn := exportOf(t, 1, func(uint64) evidence.Record { return storedReport(t, 1, "initial", "x", "r", `{"outage":7}`) })
	code, _, errOut = tocsin(t, "", "statute", "replay", "--export", torn, "--pack", stricterPack(t), "--since", "2026-01-01")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "tocsin: grid-east/x: ")
}

// BenchmarkReplay decides a hundred thousand incidents twice, and reports the seconds.
func BenchmarkReplay(b *testing.B) {
	facts := []string{
		`{"outage":[{"scope":"overall","duration":"PT20M"}]}`, `{"systemLoss":"none"}`, `{"personalInformationPersons":{"atLeast":1200000}}`,
		`{"outage":[{"scope":"main-function","since":"2026-03-02T08:50:00+08:00"}]}`, `{"directLoss":{"amount":30000000,"currency":"CNY"},"dataThreat":"serious"}`,
	}
	const incidents = 100_000
	dir := exportOf(b, incidents, func(seq uint64) evidence.Record {
		return storedReport(b, seq, "initial", fmt.Sprint("inc-", seq), "r1", facts[seq%uint64(len(facts))])
	})
	pack := stricterPack(b)
	for b.Loop() {
		code, out, errOut := tocsin(b, "", "statute", "replay", "--pack", pack, "--since", "2026-03-01", "--export", dir, "--json")
		require.Equal(b, exitOK, code, errOut)
		require.Contains(b, out, fmt.Sprintf(`"replayed":%d`, incidents))
	}
}
