package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

// scene is a folder with one of everything that can be checked, of a log of 300 records.
type scene struct {
	dir     string
	key     *evidence.Key
	records []evidence.Record
	tiles   evidence.Dir
	trees   map[uint64]evidence.Hash
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{dir: t.TempDir(), trees: map[uint64]evidence.Hash{}}
	key, err := evidence.OpenKey(filepath.Join(s.dir, "secret"), "log.example.com/test")
	require.NoError(t, err)
	s.key = key
	s.tiles = evidence.Dir(filepath.Join(s.dir, "tree"))
	require.NoError(t, os.Mkdir(string(s.tiles), 0o700))
	tree, err := evidence.OpenTree(string(s.tiles), 0)
	require.NoError(t, err)
	for n := uint64(1); n <= 300; n++ {
		r := evidence.Record{
			Sequence: n, Subject: fmt.Sprintf("incident.accepted.grid-east.inc-%d.r1", n),
			Header: map[string][]string{"ce-time": {"2026-03-01T08:00:00.000Z"}},
			Body:   fmt.Appendf(nil, `{"title":"调度中断 %d"}`, n),
		}
		if n == 7 {
			r.Body = []byte("{\"title\":\"\u202etxt\u009b31m\"}")
		}
		if n == 8 {
			r.Subject, r.Body = "x\ny\x1b[31m", []byte("\x1b[31mnot JSON")
		}
		s.records = append(s.records, r)
		require.NoError(t, tree.Append(r.Entry()))
		if n == 200 || n == 300 {
			require.NoError(t, tree.Write())
			s.trees[n] = tree.Root()
			cp, err := key.Sign(n, tree.Root())
			require.NoError(t, err)
			s.write(t, fmt.Sprintf("checkpoint-%d", n), cp.Note)
		}
	}
	s.write(t, "log.pub", key.Verifier()+"\n")
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

func (s *scene) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(s.path(name))
	require.NoError(t, err)
	return string(content)
}

func (s *scene) proof(t *testing.T, n uint64) string {
	t.Helper()
	path, err := evidence.ProveInclusion(s.tiles, 300, n-1)
	require.NoError(t, err)
	return evidence.Proof{Record: s.records[n-1], Path: path, Checkpoint: s.read(t, "checkpoint-300")}.String()
}

func (s *scene) consistency(t *testing.T) string {
	t.Helper()
	path, err := evidence.ProveConsistency(s.tiles, 200, 300)
	require.NoError(t, err)
	return evidence.Consistency{Size: 200, Root: s.trees[200], Path: path, Checkpoint: s.read(t, "checkpoint-300")}.String()
}

func (s *scene) export(t *testing.T, name string, first, last uint64) string {
	t.Helper()
	m := export.Manifest{Key: s.key.Verifier(), First: first, Last: last, Made: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	e, err := export.Create(s.path(name), m, s.read(t, "checkpoint-300"), s.tiles)
	require.NoError(t, err)
	for n := first; n <= last; n++ {
		require.NoError(t, e.Add(s.records[n-1]))
	}
	sum, err := e.Close()
	require.NoError(t, err)
	return sum
}

// verify runs the command with the scene's key, in English.
func (s *scene) verify(args ...string) (code int, stdout, stderr string) {
	return command(append([]string{"--lang", "en", "--key", s.path("log.pub")}, args...)...)
}

func command(args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestVerify_Proof(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "p", s.proof(t, 42))
	code, out, errOut := s.verify(s.path("p"))
	require.Equal(t, exitHolds, code, errOut)
	require.Empty(t, errOut)
	for _, want := range []string{
		"HOLDS: record 42 is in the log log.example.com/test", "covers the first 300 records",
		"incident.accepted.grid-east.inc-42.r1", "2026-03-01T08:00:00.000Z", `"title": "调度中断 42"`, "This does not prove:",
	} {
		require.Contains(t, out, want)
	}
	// The key itself, flags after the file, in Chinese.
	code, out, _ = command(s.path("p"), "--lang=zh", "--key", s.key.Verifier())
	require.Equal(t, exitHolds, code)
	require.Contains(t, out, "成立：第 42 条记录在日志")
	code, out, errOut = s.verify("--quiet", s.path("p"))
	require.Equal(t, exitHolds, code)
	require.Empty(t, out+errOut)
}

func TestVerify_InvalidProof(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := s.proof(t, 42)
	other, err := evidence.OpenKey(s.path("other"), "log.example.com/test")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"another index":      strings.Replace(good, "index 41", "index 42", 1),
		"another hash":       strings.Replace(good, "=\n\n", "=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n", 1),
		"another checkpoint": good[:strings.Index(good, "\n\n")+2] + s.read(t, "checkpoint-200"),
	} {
		s.write(t, "bad", text)
		code, out, errOut := s.verify(s.path("bad"))
		require.Equal(t, exitFails, code, name)
		require.Empty(t, out, name)
		require.Contains(t, errOut, "does not hold: ", name)
		code, _, errOut = s.verify("--quiet", s.path("bad"))
		require.Equal(t, exitFails, code)
		require.NotEmpty(t, errOut)
	}
	s.write(t, "good", good)
	code, _, errOut := command("--lang", "en", "--key", other.Verifier(), s.path("good"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "not signed with the key")
}

func TestVerify_Unchecked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "p", s.proof(t, 42))
	s.write(t, "consistency", s.consistency(t))
	s.write(t, "cut", s.proof(t, 42)[:len(s.proof(t, 42))-10])
	s.write(t, "newer", strings.Replace(s.proof(t, 42), "@v1", "@v2", 1))
	s.write(t, "junk", "junk\n")
	require.NoError(t, os.Mkdir(s.path("empty"), 0o700))
	s.export(t, "export", 1, 50)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "want one FILE, not 0"},
		{[]string{s.path("p"), s.path("p")}, "want one FILE, not 2"},
		{[]string{"--nonsense", s.path("p")}, "-nonsense"},
		{[]string{"--lang", "fr", s.path("p")}, "--lang is zh or en"},
		{[]string{s.path("none")}, "no such file"},
		{[]string{s.path("cut")}, "mail or an editor may have damaged it"},
		{[]string{s.path("newer")}, "a newer program made it"},
		{[]string{s.path("junk")}, "neither a proof, nor a receipt, nor a signed checkpoint"},
		{[]string{s.path("empty")}, "not an export"},
		{[]string{"--key", "", s.path("p")}, "--key is missing"},
		{[]string{"--key", s.path("none"), s.path("p")}, "neither a verifier key nor a file"},
		{[]string{"--key", s.path("junk"), s.path("p")}, "--key"},
		{[]string{"--key", "a+b+c", s.path("p")}, "--key"},
		{[]string{"--record", "0", s.path("export")}, "records begin at 1"},
		{[]string{"--record", "x", s.path("export")}, "record"},
		{[]string{"--record", "5", s.path("p")}, "is not an export"},
		{[]string{"--record", "77", s.path("export")}, "record 77"},
		{[]string{"--proof", s.path("new"), s.path("export")}, "goes with --record"},
		{[]string{"--record", "5", "--proof", s.path("p"), s.path("export")}, "exists"},
		{[]string{"--record", "5", "--extends", s.path("p"), s.path("export")}, "not both"},
		{[]string{"--extends", "", s.path("export")}, "--extends"},
		{[]string{"--extends", s.path("none"), s.path("consistency")}, "no such file"},
		{[]string{"--extends", s.path("checkpoint-200"), s.path("p")}, "get a consistency proof"},
		{[]string{"--extends", s.path("checkpoint-200"), s.path("checkpoint-300")}, "get a consistency proof"},
		{[]string{s.path("consistency")}, "needs --extends"},
	} {
		code, out, errOut := s.verify(c.args...)
		require.Equal(t, exitUnchecked, code, "%v: %s", c.args, errOut)
		require.Empty(t, out, "%v", c.args)
		require.Contains(t, errOut, c.want, "%v", c.args)
	}
	code, _, _ := command()
	require.Equal(t, exitUnchecked, code)
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "consistency", s.consistency(t))
	s.write(t, "p", s.proof(t, 42))
	code, out, _ := s.verify(s.path("checkpoint-300"))
	require.Equal(t, exitHolds, code)
	require.Contains(t, out, "HOLDS: the checkpoint was signed by the log log.example.com/test")
	code, out, errOut := s.verify(s.path("consistency"), "--extends", s.path("checkpoint-200"))
	require.Equal(t, exitHolds, code, errOut)
	require.Contains(t, out, "HOLDS: the first 200 of the 300 records")
	code, _, _ = s.verify(s.path("checkpoint-300"), "--extends", s.path("p"))
	require.Equal(t, exitHolds, code, "the same checkpoint, out of a proof")

	// A log that was rewritten behind its old checkpoint.
	fork, err := s.key.Sign(200, evidence.Hash{1})
	require.NoError(t, err)
	s.write(t, "fork", fork.Note)
	code, _, errOut = s.verify(s.path("consistency"), "--extends", s.path("fork"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "the proof begins at the 200 records")
	code, _, errOut = s.verify(s.path("checkpoint-200"), "--extends", s.path("fork"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "has signed two different contents of 200 records")
	s.write(t, "unsigned", strings.Replace(fork.Note, "\n200\n", "\n201\n", 1))
	code, _, _ = s.verify(s.path("consistency"), "--extends", s.path("unsigned"))
	require.Equal(t, exitFails, code)
}

func TestExports(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sum := s.export(t, "export", 100, 220)
	code, out, errOut := s.verify(s.path("export"))
	require.Equal(t, exitHolds, code, errOut)
	for _, want := range []string{"HOLDS: every record of this export", "records 100 to 220: 121 are included, 0 were removed", sum} {
		require.Contains(t, out, want)
	}
	code, out, errOut = s.verify(s.path("export"), "--extends", s.path("checkpoint-200"))
	require.Equal(t, exitHolds, code, errOut)
	require.Contains(t, out, "200 records, root "+s.trees[200].String())
	code, _, errOut = s.verify(s.path("checkpoint-300"), "--extends", s.path("export"))
	require.Equal(t, exitHolds, code, errOut)

	// The proof of one record, which then verifies without the export.
	code, out, errOut = s.verify(s.path("export"), "--record", "120", "--proof", s.path("120.tlog-proof"))
	require.Equal(t, exitHolds, code, errOut)
	require.Contains(t, out, `"title": "调度中断 120"`)
	require.Equal(t, s.proof(t, 120), s.read(t, "120.tlog-proof"))

	fork, err := s.key.Sign(200, evidence.Hash{1})
	require.NoError(t, err)
	s.write(t, "fork", fork.Note)
	code, _, errOut = s.verify(s.path("export"), "--extends", s.path("fork"))
	require.Equal(t, exitFails, code)
	require.Contains(t, errOut, "are not the beginning of")
	far, err := s.key.Sign(301, evidence.Hash{1})
	require.NoError(t, err)
	s.write(t, "far", far.Note)
	code, _, errOut = s.verify(s.path("export"), "--extends", s.path("far"))
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, errOut, "it is the later one")

	lines := strings.Replace(s.read(t, "export/records.jsonl"), "调度中断 130", "调度中断 131", 1)
	s.write(t, "export/records.jsonl", lines)
	code, out, errOut = s.verify(s.path("export"), "--extends", s.path("far"))
	require.Equal(t, exitFails, code, "what does not hold weighs more than what cannot be checked")
	require.Empty(t, out)
	require.Contains(t, errOut, "records.jsonl: record 130: line 31: it is not the record that the log has certified")
	require.Contains(t, errOut, "does not hold: 2 problems found")
	code, _, _ = s.verify(s.path("export"), "--record", "130")
	require.Equal(t, exitFails, code)
}

// TestVerify_ExportWithoutTheEarlierTiles has only the tiles at its end.
func TestVerify_ExportWithoutTheEarlierTiles(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.export(t, "export", 290, 300)
	code, _, errOut := s.verify(s.path("export"), "--extends", s.path("checkpoint-200"))
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, errOut, "do not reach to record 200")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "p", s.proof(t, 42))
	code, out, errOut := s.verify("--json", s.path("p"))
	require.Equal(t, exitHolds, code)
	require.Empty(t, errOut)
	var r struct {
		Result, Kind, Origin, Root string
		Size                       uint64
		Record                     struct {
			Record        uint64
			Subject, Time string
			Line          string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, "holds", r.Result)
	require.Equal(t, "proof", r.Kind)
	require.EqualValues(t, 300, r.Size)
	require.Equal(t, s.trees[300].String(), r.Root)
	require.Equal(t, string(s.records[41].Line()), r.Record.Line)
	require.Equal(t, 1, strings.Count(out, "\n"))

	s.export(t, "export", 1, 20)
	require.NoError(t, os.Remove(s.path("export/records.jsonl")))
	code, out, _ = s.verify("--json", s.path("export"))
	require.Equal(t, exitFails, code)
	var e struct {
		Result string
		Export struct{ Findings []export.Finding }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &e))
	require.Equal(t, "fails", e.Result)
	require.Equal(t, []export.Finding{{Path: "records.jsonl", Message: "it is missing: the manifest lists it"}}, e.Export.Findings)

	code, out, _ = s.verify("--json", s.path("none"))
	require.Equal(t, exitUnchecked, code)
	require.Contains(t, out, `"result":"unchecked"`)
}

// TestTerminal has records whose text would control a terminal.
func TestTerminal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, n := range []uint64{7, 8} {
		s.write(t, "p", s.proof(t, n))
		code, out, _ := s.verify(s.path("p"))
		require.Equal(t, exitHolds, code)
		for _, bad := range []string{"\x1b", "\u202e", "\u009b", "\ny"} {
			require.NotContains(t, out, bad)
		}
	}
	code, _, errOut := s.verify(s.path("x\x1b[31m\ny"))
	require.Equal(t, exitUnchecked, code)
	require.NotContains(t, errOut, "\x1b")
	require.Equal(t, 1, strings.Count(errOut, "\n"))
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help", "--lang", "en"}, {"--lang", "en", "-h"}, {"--lang=en", "x", "--help"}} {
		code, out, errOut := command(args...)
		require.Equal(t, exitHolds, code)
		require.Empty(t, errOut)
		require.Contains(t, out, "Exit codes:")
		for _, flag := range []string{"--key", "--extends", "--record", "--proof", "--report", "--identities", "--json", "--quiet", "--lang"} {
			require.Contains(t, out, flag)
		}
	}
	_, out, _ := command("--lang", "zh", "--help")
	require.Contains(t, out, "退出码")
	for id, w := range messages {
		require.NotEmpty(t, w[0], id)
		require.Equal(t, strings.Count(w[0], "%"), strings.Count(w[1], "%"), id)
	}
}

// Changes that mail and editors make to any file are not a forgery.
func TestVerify_TransportIsNoForgery(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.write(t, "proof", s.proof(t, 42))
	s.write(t, "consistency", s.consistency(t))
	damaged := func(text string) map[string]string {
		crlf := strings.ReplaceAll(text, "\n", "\r\n")
		wide := "\xff\xfe"
		for _, unit := range utf16.Encode([]rune(crlf)) {
			wide += string([]byte{byte(unit), byte(unit >> 8)})
		}
		return map[string]string{"mark": "\uFEFF" + text, "CR LF": crlf, "UTF-16": wide, "cut": strings.TrimSuffix(text, "\n"), "white": strings.ReplaceAll(text, "\n", " \n")}
	}
	for file, args := range map[string][]string{"proof": nil, "checkpoint-300": nil, "consistency": {"--extends", s.path("checkpoint-200")}} {
		for how, text := range damaged(s.read(t, file)) {
			s.write(t, "damaged", text)
			code, out, errOut := s.verify(append([]string{s.path("damaged")}, args...)...)
			require.Equal(t, exitHolds, code, "%s, %s: %s", file, how, errOut)
			require.Contains(t, out, "repaired", "%s, %s", file, how)
		}
		forged := strings.Replace(s.read(t, file), "\n300\n", "\n301\n", 1)
		s.write(t, "damaged", damaged(forged)["CR LF"])
		code, _, _ := s.verify(append([]string{s.path("damaged")}, args...)...)
		require.Equal(t, exitFails, code, file)
	}
	for how, text := range damaged(s.read(t, "log.pub")) {
		s.write(t, "key", text)
		var out, errOut bytes.Buffer
		require.Equal(t, exitHolds, run([]string{"--key", s.path("key"), s.path("proof")}, &out, &errOut), "the key, %s: %s", how, errOut.String())
	}
	for how, text := range damaged(s.read(t, "checkpoint-200")) {
		s.write(t, "old", text)
		code, _, errOut := s.verify(s.path("consistency"), "--extends", s.path("old"))
		require.Equal(t, exitHolds, code, "the earlier checkpoint, %s: %s", how, errOut)
	}
}

// TestFewDependencies limits the verifier's dependencies to what a stranger can review:
// our own packages, what Go's own tools verify their log with, and the JSON of Go 1.27.
func TestFewDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	others := slices.DeleteFunc(strings.Fields(string(out)), func(pkg string) bool {
		return strings.HasPrefix(pkg, "github.com/go-json-experiment/json")
	})
	for _, pkg := range others {
		ours := strings.HasPrefix(pkg, "github.com/tocsin-project/tocsin/")
		require.True(t, ours || strings.HasPrefix(pkg, "golang.org/x/mod/sumdb/") || pkg == "golang.org/x/sync/errgroup", pkg)
	}
	require.Len(t, others, 9, "%s", out)
}
