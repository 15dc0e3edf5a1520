package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/cli/render"
)

// document is one of the Markdown files whose examples are run.
type document struct{ name, text string }

// readDocuments returns the README, whose tour comes first, and the handbooks, which
// continue where the tour ends.
func readDocuments(t *testing.T) []document {
	top := filepath.Join("..", "..")
	names, err := filepath.Glob(filepath.Join(top, "deploy", "handbook", "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, names, "there are handbooks")
	var out []document
	for _, name := range append([]string{filepath.Join(top, "README.md")}, names...) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		out = append(out, document{filepath.Base(name), string(text)})
	}
	return out
}

// step is one command of a document with the output that the document shows.
type step struct{ command, want string }

// steps reads the blocks marked console: "$ " begins a command, which continues over a
// here-document; the other lines are its output.
func (d document) steps() []step {
	var steps []step
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(d.text, -1) {
		inHere := false
		for line := range strings.Lines(block[1]) {
			last := len(steps) - 1
			switch {
			case inHere:
				steps[last].command += line
				inHere = strings.TrimSpace(line) != "END"
			case strings.HasPrefix(line, "$ "):
				steps = append(steps, step{command: line[2:]})
				inHere = strings.Contains(line, "<<'END'")
			default:
				steps[last].want += line
			}
		}
	}
	return steps
}

// varying are the parts of an output that differ between two runs.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+08:00`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+08:00)`), "TIME"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43}=`), "ROOT"}, // root or entry
	{regexp.MustCompile(`tocsin\.invalid/[0-9a-f]{8}(\+\S+)?`), "LOG"},
	{regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{12})\b`), "HASH"},
	{regexp.MustCompile(`\b[AO][A-Z2-7]{55}\b`), "NKEY"},
	// A proof may be fetched before the checkpoint covers the last records.
	{regexp.MustCompile(`\bthe first \d+ of the \d+ records\b`), "the first N of the N records"},
	{regexp.MustCompile(`\b(the first|among the|that of|log of) \d+\b`), "$1 N"},
	{regexp.MustCompile(`\b\d+ entries of the tree\b`), "N entries"},
	// How late the report of the tour is depends on when the tour is made.
	{regexp.MustCompile(`\b(P\d+DT[0-9HMS.]+|\d+d(\d+h)?|P\d+D)\b`), "LENGTH"},
}

// A handbook does not know how many records the documents before it created.
var numberedRecord = regexp.MustCompile(`#\d+ *`)

// settle makes the outputs of two runs comparable.
func settle(s string, inHandbook bool) string {
	for _, v := range varying {
		s = v.what.ReplaceAllString(s, v.as)
	}
	if inHandbook {
		s = numberedRecord.ReplaceAllString(s, "#N ")
	}
	return s
}

// Queries may come before the services have caught up, which takes milliseconds.
var question = regexp.MustCompile(`^(tocsin (log|owed|desk handover|desk list|drill report)|curl)\b`)

// shell runs the commands of documents in one folder, against one server.
type shell struct {
	dir    string
	server *server
}

// newShell creates programs of the names that documents use: tocsin, tocsin-verify and
// curl, which is a stand-in (documents_curl_test.go), so that the machine needs none.
func newShell(t *testing.T) *shell {
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &shell{t.TempDir(), startServer(t)}
	schemas, err := filepath.Abs(filepath.Join("..", "..", "schemas"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(schemas, filepath.Join(s.dir, "schemas")))
	built, err := exec.Command("go", "build", "-o", filepath.Join(s.dir, "tocsin-verify"), "../../cmd/tocsin-verify").CombinedOutput()
	require.NoError(t, err, string(built))
	for name, script := range map[string]string{
		"tocsin": fmt.Sprintf("TOCSIN_CHILD=1 TOCSIN_SERVER=%s exec %q --lang en \"$@\"", s.server.url(), exe),
		"curl":   fmt.Sprintf("TOCSIN_CURL=1 exec %q \"$@\"", exe),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	return s
}

// defaultHTTP is the address that documents show.
const defaultHTTP = "127.0.0.1:8080"

func (s *shell) run(t *testing.T, command string) string {
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, defaultHTTP, s.server.http))
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+s.dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if !errors.As(err, new(*exec.ExitError)) { // a document may show a command that fails
		require.NoError(t, err)
	}
	return string(out)
}

// TestDocuments runs the tour of the README and the examples of every handbook as they
// are written, all against one server.
func TestDocuments(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for i, d := range readDocuments(t) {
		steps := d.steps()
		require.False(t, i == 0 && len(steps) == 0, "the README has a tour")
		for _, step := range steps {
			want, got := settle(step.want, i > 0), settle(s.run(t, step.command), i > 0)
			for deadline := time.Now().Add(time.Minute); got != want && question.MatchString(step.command) && time.Now().Before(deadline); {
				time.Sleep(50 * time.Millisecond)
				got = settle(s.run(t, step.command), i > 0)
			}
			require.Equal(t, want, got, "%s: $ %s", d.name, step.command)
		}
	}
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	// A command of ours up to what the shell interprets differently.
	ourCommand = regexp.MustCompile(`(?:^|[|(;&]\s*)(?:bin/)?tocsin( [^|;&<>()#\n]*)?`)
	flagName   = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)
	verifyLine = regexp.MustCompile(`\btocsin-verify [^|;&\n` + "`" + `]*`)
)

// commandLines returns the command lines of tocsin in the blocks and code spans of a
// document, without the program.
func (d document) commandLines() [][]string {
	var out [][]string
	add := func(line string) {
		for _, m := range ourCommand.FindAllStringSubmatch(strings.ReplaceAll(line, "\\\n", " "), -1) {
			out = append(out, strings.Fields(m[1]))
		}
	}
	for _, block := range codeBlock.FindAllStringSubmatch(d.text, -1) {
		if block[1] != "sh" && block[1] != "console" {
			continue
		}
		for line := range strings.Lines(block[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok || block[1] == "sh" {
				add(strings.TrimRight(command, "\n"))
			}
		}
	}
	for _, span := range codeSpan.FindAllStringSubmatch(codeBlock.ReplaceAllString(d.text, ""), -1) {
		add(span[1])
	}
	return out
}

// TestDocumentedCommandsExist looks up every command and flag that a document names, even
// if its example is not run.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	root := (&environment{Printer: &render.Printer{}}).root()
	known, verifies := map[string]bool{"help": true}, map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	verifier, err := filepath.Glob(filepath.Join("..", "..", "cmd", "tocsin-verify", "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, verifier)
	for _, name := range verifier {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range flagName.FindAllStringSubmatch(string(source), -1) {
			known[m[1]], verifies[m[1]] = true, true
		}
	}
	commands, flags, verifications, spans := 0, 0, 0, 0 // looked up
	for _, d := range readDocuments(t) {
		for _, args := range d.commandLines() {
			commands++
			c, rest, err := root.Find(args)
			require.NoError(t, err, "%s: tocsin %s", d.name, strings.Join(args, " "))
			for _, arg := range rest {
				if m := flagName.FindStringSubmatch(arg); m != nil && strings.HasPrefix(arg, "--") && m[1] != "help" {
					flags++
					require.NotNil(t, firstFlag(c, m[1]), "%s: tocsin %s: --%s", d.name, strings.Join(args, " "), m[1])
				}
			}
			if len(args) > 0 && c == root {
				require.True(t, strings.HasPrefix(args[0], "-"), "%s: tocsin %s", d.name, args[0])
			}
		}
		for _, line := range verifyLine.FindAllString(d.text, -1) {
			for _, m := range flagName.FindAllStringSubmatch(line, -1) {
				verifications++
				require.True(t, verifies[m[1]] || m[1] == "help", "%s: %s: --%s", d.name, line, m[1])
			}
		}
		for _, span := range codeSpan.FindAllStringSubmatch(codeBlock.ReplaceAllString(d.text, ""), -1) {
			if m := flagName.FindStringSubmatch(span[1]); m != nil && strings.HasPrefix(span[1], "--") {
				spans++
				require.True(t, known[m[1]], "%s: no command has --%s; they have %v", d.name, m[1], slices.Sorted(maps.Keys(known)))
			}
		}
	}
	for what, n := range map[string]int{"commands": commands, "flags of commands": flags, "flags of tocsin-verify": verifications, "flags by themselves": spans} {
		require.Greater(t, n, 10, "%s in the documents", what)
	}
}

// firstFlag finds a flag of a command or of one above it.
func firstFlag(c *cobra.Command, name string) *pflag.Flag {
	if f := c.Flags().Lookup(name); f != nil {
		return f
	}
	return c.InheritedFlags().Lookup(name)
}
