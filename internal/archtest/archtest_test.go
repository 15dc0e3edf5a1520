package archtest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree checks this repository against the rules.
func TestTree(t *testing.T) {
	tree, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) < 50 {
		t.Fatalf("read %d Go files: this is not the whole tree", len(tree.Files))
	}
	for _, r := range Rules {
		t.Run(r.Name, func(t *testing.T) {
			for _, f := range r.Check(tree) {
				t.Error(f)
			}
		})
	}
}

// sound is a small tree that keeps every rule. The cases below change it.
var sound = map[string]string{
	"go.mod":    "module example.com/m\n",
	"README.md": "Read `services/doc.go`, [the bus](internal/bus), schemas/*.json and `internal/bus.Commit`. Not `application/json`, `/etc/x.yaml`, `github.com/o/nats.go`, https://example.com/a/b.go or `and/or`.\n",
	".ci/run":   "", ".gitignore": "/bin/\n", "bin/tocsin": "", "schemas/a.json": "{}",
	"internal/clock/clock.go":     "// Package clock tells the time.\npackage clock\n\nimport \"time\"\n\nvar Now = time.Now\n",
	"internal/bus/bus.go":         "// Package bus writes.\n// As cn-law-2020 has it.\npackage bus\n\nimport (\n\t\"example.com/m/internal/clock\"\n\t\"github.com/nats-io/nats.go\"\n)\n\nvar _, _ = clock.Now, nats.Connect\n\nfunc Commit() {}\n",
	"internal/bus/bus_test.go":    "package bus_test\n\nimport (\n\t\"example.com/m/internal/bus\"\n\t\"time\"\n)\n\nvar _, _ = bus.Commit, time.Now\n\nconst statute = \"cn-law-2020\"\n",
	"services/doc.go":             "// Package services is in internal/bus and services/router/router.go.\npackage services\n",
	"services/router/router.go":   "// Package router routes.\npackage router\n\nimport \"example.com/m/internal/bus\"\n\nvar _ = bus.Commit\n",
	"services/desk/testdata/x.go": "this is not Go",
}

// TestRules breaks each rule in a sound tree and expects the fault to be named.
func TestRules(t *testing.T) {
	long := "// Package desk is long.\npackage desk\n" + strings.Repeat("\n", maxLines)
	broken := map[string]bool{}
	for _, c := range []struct {
		rule, name string
		change     map[string]string
		want       []string // parts of the faults, one each; none: sound
	}{
		{"imports go one way", "a service imports another",
			map[string]string{"services/desk/desk.go": "// Package desk listens.\npackage desk\n\nimport _ \"example.com/m/services/router\"\n"},
			[]string{"services/desk/desk.go:4: services/* may not import services/router"}},
		{"imports go one way", "so does its test",
			map[string]string{"services/desk/desk_test.go": "package desk\n\nimport _ \"example.com/m/services/router\"\n"},
			[]string{"services/desk/desk_test.go:3: services/* may not import services/router"}},
		{"imports go one way", "a test may import its own package and its helpers",
			map[string]string{"services/desk/desk_test.go": "package desk_test\n\nimport _ \"example.com/m/services/desk\"\nimport _ \"example.com/m/internal/bus/bustest\"\n"},
			nil},
		{"imports go one way", "a command imports a service",
			map[string]string{"cmd/tocsin/main.go": "// Command tocsin runs.\npackage main\n\nimport _ \"example.com/m/services/router\"\n"},
			[]string{"cmd/tocsin/main.go:4: cmd/tocsin may not import services/router"}},
		{"imports go one way", "a statute knows of the bus",
			map[string]string{"internal/statute/s.go": "// Package statute reads.\npackage statute\n\nimport _ \"example.com/m/internal/bus\"\n"},
			[]string{"internal/statute/s.go:4: internal/statute may not import internal/bus"}},
		{"imports go one way", "a package that nobody placed",
			map[string]string{"internal/util/a.go": "package util\n", "internal/util/b.go": "package util\n"},
			[]string{"internal/util: no room"}},
		{"the engine stays behind the bus", "a service speaks NATS",
			map[string]string{"services/desk/desk.go": "package desk\n\nimport _ \"github.com/nats-io/nats.go/jetstream\"\n"},
			[]string{"services/desk/desk.go:3: services/desk imports github.com/nats-io/nats.go/jetstream"}},
		{"one package comment", "none",
			map[string]string{"services/router/router.go": "package router\n"},
			[]string{"services/router: want one package comment, in one file; there are 0"}},
		{"one package comment", "two",
			map[string]string{"services/router/b.go": "// Package router again.\npackage router\n"},
			[]string{"services/router: want one package comment, in one file; there are 2"}},
		{"one package comment", "one that speaks of something else",
			map[string]string{"services/router/router.go": "// This routes.\npackage router\n"},
			[]string{`services/router/router.go:1: the package comment must begin with "Package router "`}},
		{"one package comment", "a command",
			map[string]string{"cmd/tocsin/main.go": "// Package main runs.\npackage main\n"},
			[]string{`cmd/tocsin/main.go:1: the package comment must begin with "Command tocsin "`}},
		{"no clock but the given one", "a service reads the clock",
			map[string]string{"services/router/b.go": "package router\n\nimport \"time\"\n\nvar t = time.Now()\nvar d = time.Since(t) + time.Until(t)\n"},
			[]string{"b.go:5: reads the clock by time.Now", "b.go:6: reads the clock by time.Since", "b.go:6: reads the clock by time.Until"}},
		{"no clock but the given one", "under another name",
			map[string]string{"services/router/b.go": "package router\n\nimport t \"time\"\n\nvar now = t.Now\n"},
			[]string{"b.go:5: reads the clock by time.Now"}},
		{"no clock but the given one", "with a dot",
			map[string]string{"services/router/b.go": "package router\n\nimport . \"time\"\n\nvar now = Now\n"},
			[]string{"b.go:3: imports time with a dot"}},
		{"no clock but the given one", "a command, and somebody else's Now",
			map[string]string{"cmd/tocsin/main.go": "// Command tocsin runs.\npackage main\n\nimport \"time\"\n\nvar t = time.Now()\n",
				"services/router/b.go": "package router\n\nimport \"example.com/m/internal/clock\"\n\nvar t = clock.Now()\n"},
			nil},
		{"no statute in code", "a service knows a law",
			map[string]string{"services/router/b.go": "package router\n\nconst law = `cn-law-2020`\n"},
			[]string{"b.go:3: names the statute cn-law-2020"}},
		{"nothing runs before main", "a package that registers itself",
			map[string]string{"services/router/init.go": "package router\n\nfunc init() {}\n"},
			[]string{"services/router/init.go:3: has a function init"}},
		{"nothing runs before main", "a method of that name",
			map[string]string{"services/router/init.go": "package router\n\ntype router struct{}\n\nfunc (router) init() {}\n"}, nil},
		{"tests can fail", "skipped, sleeping, bounded and absent",
			map[string]string{"services/desk/desk_test.go": "package desk\n\nfunc TestDesk(t *testing.T) {\n\tt.Skip()\n\ttime.Sleep(1)\n\trequire.Less(t, took, 50*time.Millisecond)\n\trequire.Eventually(t, ok, 50*time.Millisecond, 1)\n\trequire.Never(t, ok, time.Hour, 1)\n\tif short {\n\t\treturn\n\t}\n}\n"},
			[]string{"desk_test.go:9: TestDesk returns early", "desk_test.go:4: skips a test", "desk_test.go:5: sleeps", "desk_test.go:6: require.Less has a bound", "desk_test.go:7: require.Eventually has a bound", "desk_test.go:8: require.Never waits"}},
		{"tests can fail", "a benchmark sleeps, and a file is listed that does not",
			map[string]string{"services/desk/desk_bench_test.go": "package desk\n\nfunc BenchmarkDesk(b *testing.B) { time.Sleep(1) }\n", "internal/cli/kill_test.go": "package cli\n"},
			[]string{"internal/cli/kill_test.go: sleeps no more"}},
		{"tests can fail", "a test polls, and a property ends early",
			map[string]string{"services/desk/desk_test.go": "package desk\n\nfunc TestDesk(t *testing.T) {\n\trequire.Eventually(t, ok, time.Minute, time.Millisecond)\n\trapid.Check(t, func(t *rapid.T) {\n\t\tif none {\n\t\t\treturn\n\t\t}\n\t})\n}\n"},
			nil},
		{"files have a size", "too long",
			map[string]string{"services/desk/desk.go": long, "services/desk/desk_test.go": long},
			[]string{"services/desk/desk.go: has 502 lines"}},
		{"files have a size", "a function too long, and a generated one",
			map[string]string{"services/desk/desk.go": "// Package desk is long.\npackage desk\n\nfunc f() {\n" + strings.Repeat("\tf()\n", maxFunctionLines) + "}\n",
				"services/desk/made.go": "// Code generated by a test. DO NOT EDIT.\n\npackage desk\n\nfunc g() {\n" + strings.Repeat("\tg()\n", maxFunctionLines) + "}\n"},
			[]string{"services/desk/desk.go:4: f has 82 lines; at most 80"}},
		{"files have a size", "a package too long",
			parts("services/desk", 8, maxLines-10),
			[]string{"services/desk: has 3914 lines; at most 3500"}},
		{"paths that are named exist", "a file that was moved",
			map[string]string{"README.md": "See `services/router/gone.go` and services/router/*.md.\n"},
			[]string{"README.md: names services/router/gone.go", "README.md: names services/router/*.md"}},
		{"paths that are named exist", "a folder that is called something else",
			map[string]string{"README.md": "See packs/law.yaml and [this](docs#top); run `.ci/walk`.\n"},
			[]string{"README.md: names docs", "README.md: names packs/law.yaml", "README.md: names .ci/walk"}},
		{"paths that are named exist", "the architecture names what is gone",
			map[string]string{"internal/bus/bus.go": nothing, "internal/bus/bus_test.go": nothing, "README.md": "Nothing."},
			[]string{"services/doc.go: names internal/bus"}},
		{"paths that are named exist", "no README",
			map[string]string{"README.md": nothing},
			[]string{"README.md: open README.md: file does not exist"}},
		{"paths that are named exist", "another document, from its own folder",
			map[string]string{"deploy/README.md": "See [it](compose.yaml) and [that](none.yaml).\n", "deploy/compose.yaml": "x"},
			[]string{"deploy/README.md: names none.yaml"}},
		{"paths that are named exist", "the contributors' guide",
			map[string]string{".github/CONTRIBUTING.md": "See [it](../schemas/none.md).\n"},
			[]string{".github/CONTRIBUTING.md: names ../schemas/none.md"}},
		{"documents hold together", "links to headings, here and elsewhere",
			map[string]string{"README.md": "# The *first*, again\n[a](#the-first-again) [b](deploy/README.md#two) [c](https://example.com/#x)\n```sh\n# two\n```\n",
				"deploy/README.md": "## One\n[a](#one) [b](#two)\n"},
			[]string{"README.md: links to deploy/README.md#two", "deploy/README.md: links to #two"}},
		{"documents hold together", "a metric that was renamed",
			map[string]string{"README.md": "Alarm on `tocsin_up` and `tocsin_down_total`.\n", "services/router/m.go": "package router\n\nconst up = \"tocsin_up\"\n"},
			[]string{"README.md: names the metric tocsin_down_total"}},
		{"documents hold together", "a target of make that is gone",
			map[string]string{"README.md": "Run `make test`, then `make tea`.\nmake do\n```sh\nmake walk  # far\n```\n", "Makefile": "test: ## the tests\ndo:\n"},
			[]string{"README.md: names the target tea of make", "README.md: names the target walk of make"}},
		{"documents hold together", "a handbook without a chapter in its contents",
			map[string]string{"deploy/handbook/desk.md": "# Desk\n- [One](#one)\n\n## One\n### Not listed\n## Two\n"},
			[]string{"deploy/handbook/desk.md: the table of contents lacks #two"}},
		{"documents hold together", "a README as long as a handbook",
			map[string]string{"README.md": strings.Repeat("\n", maxReadmeLines+1)},
			[]string{"README.md: has 251 lines; at most 250"}},
		{"the top level is full", "a new folder and a stray file",
			map[string]string{"pkg/a.txt": "x", "notes.txt": "x"},
			[]string{"notes.txt: does not belong", "pkg: does not belong"}},
	} {
		broken[c.rule] = broken[c.rule] || len(c.want) > 0
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			tree := changed(t, c.change)
			got := check(t, c.rule, tree)
			if len(got) != len(c.want) {
				t.Fatalf("got %d faults, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q in it", got[i], want)
				}
			}
		})
	}
	for _, r := range Rules {
		if !broken[r.Name] {
			t.Errorf("no case breaks the rule %q", r.Name)
		}
	}
}

// parts makes a package of n files of so many lines.
func parts(dir string, n, lines int) map[string]string {
	files := map[string]string{dir + "/doc.go": "// Package desk is long.\npackage desk"}
	for i := range n {
		files[fmt.Sprintf("%s/p%d.go", dir, i)] = "package desk" + strings.Repeat("\n", lines-1)
	}
	return files
}

func check(t *testing.T, rule string, tree *Tree) []string {
	t.Helper()
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == rule })
	if i < 0 {
		t.Fatalf("no rule %q", rule)
	}
	return Rules[i].Check(tree)
}

// changed reads the sound tree with some files changed.
func changed(t *testing.T, change map[string]string) *Tree {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range sound {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range change {
		files[name] = &fstest.MapFile{Data: []byte(text)}
		if text == nothing {
			delete(files, name)
		}
	}
	tree, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// nothing removes a file from the sound tree.
const nothing = ""

// TestSound checks the tree that the cases start from against every rule.
func TestSound(t *testing.T) {
	tree := changed(t, nil)
	for _, r := range Rules {
		for _, f := range r.Check(tree) {
			t.Errorf("%s: %s", r.Name, f)
		}
	}
}
