// Package archtest contains the rules of the tree as tests: make test reports a
// violation, so that no reviewer has to.
//
// A rule reads the sources, parsed but not built, and reports every fault at once. Each
// rule is itself tested on a small tree that breaks it. Change the tables (rooms,
// topLevel) together with the code that needs it: anything missing from them is a fault.
package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Rule is one rule of the tree.
type Rule struct {
	Name  string
	Check func(*Tree) []string // the faults, each with its place
}

// Rules are the rules of the tree.
var Rules = []Rule{
	{"imports go one way", imports},
	{"the engine stays behind the bus", engine},
	{"one package comment", packageComments},
	{"no clock but the given one", clocks},
	{"no statute in code", statutes},
	{"nothing runs before main", inits},
	{"tests can fail", tests},
	{"files have a size", sizes},
	{"paths that are named exist", paths},
	{"documents hold together", documents},
	{"the top level is full", topLevels},
}

// Tree is a repository as the rules see it.
type Tree struct {
	FS     fs.FS
	Module string // from go.mod
	Files  []*File
	fset   *token.FileSet
}

// File is one Go file, parsed.
type File struct {
	Path string // from the top, with slashes
	Test bool
	AST  *ast.File
}

// Dir is the folder of the file, which is its package.
func (f *File) Dir() string { return path.Dir(f.Path) }

var modulePattern = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// Read parses the Go files of a repository.
func Read(root fs.FS) (*Tree, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("archtest: %w", err)
	}
	m := modulePattern.FindSubmatch(mod)
	if m == nil {
		return nil, errors.New("archtest: go.mod names no module")
	}
	t := &Tree{FS: root, Module: string(m[1]), fset: token.NewFileSet()}
	return t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && !isSource(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return t.parse(name)
	})
}

// isSource reports whether the go command reads a folder.
func isSource(dir string) bool {
	return dir != "testdata" && dir != "node_modules" && !strings.HasPrefix(dir, ".") && !strings.HasPrefix(dir, "_")
}

func (t *Tree) parse(name string) error {
	src, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return fmt.Errorf("archtest: %w", err)
	}
	f, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("archtest: %w", err)
	}
	t.Files = append(t.Files, &File{Path: name, Test: strings.HasSuffix(name, "_test.go"), AST: f})
	return nil
}

// at formats a fault with its position: path:line: fault.
func (t *Tree) at(n ast.Node, format string, args ...any) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d: ", p.Filename, p.Line) + fmt.Sprintf(format, args...)
}
