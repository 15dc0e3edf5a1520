package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// packageComments requires one comment for each package, in one file, that begins as
// godoc requires.
func packageComments(t *Tree) (faults []string) {
	docs := map[string][]string{} // package → its files with a comment
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		dir := f.Dir()
		if _, met := docs[dir]; !met {
			docs[dir] = nil
		}
		if f.AST.Doc == nil {
			continue
		}
		docs[dir] = append(docs[dir], f.Path)
		want := "Package " + f.AST.Name.Name + " "
		if f.AST.Name.Name == "main" {
			want = "Command " + dir[strings.LastIndexByte(dir, '/')+1:] + " "
		}
		if !strings.HasPrefix(f.AST.Doc.Text(), want) {
			faults = append(faults, t.at(f.AST.Doc, "the package comment must begin with %q", want))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if n := len(docs[dir]); n != 1 {
			faults = append(faults, fmt.Sprintf("%s: want one package comment, in one file; there are %d %v", dir, n, docs[dir]))
		}
	}
	return faults
}

// clockReaders are the functions of package time that read the clock.
var clockReaders = list("Now Since Until")

// clocks finds code outside internal/clock, cmd and tests that reads the clock:
// everything else gets the time from its caller, so that it can be tested at any time.
func clocks(t *Tree) (faults []string) {
	for _, f := range t.Files {
		if f.Test || f.Dir() == "internal/clock" || strings.HasPrefix(f.Path, "cmd/") {
			continue
		}
		name := ""
		for _, spec := range f.AST.Imports {
			if unquote(spec.Path.Value) != "time" {
				continue
			}
			if name = "time"; spec.Name != nil {
				name = spec.Name.Name
			}
			if name == "." {
				faults = append(faults, t.at(spec, "imports time with a dot, which hides who reads the clock"))
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && slices.Contains(clockReaders, sel.Sel.Name) {
				faults = append(faults, t.at(sel, "reads the clock by time.%s: take a clock.Clock or a time", sel.Sel.Name))
			}
			return true
		})
	}
	return faults
}

var statuteID = regexp.MustCompile(`\bcn-[a-z0-9-]+`)

// statutes finds names of statutes in code: the law is data, in schemas/statutes. A
// comment may cite it.
func statutes(t *Tree) (faults []string) {
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				for _, id := range statuteID.FindAllString(lit.Value, -1) {
					faults = append(faults, t.at(lit, "names the statute %s: the law stands in schemas/statutes", id))
				}
			}
			return true
		})
	}
	return faults
}

// The maximum lengths in lines, except for tests and generated code: a reader holds a
// function of a screen or two in mind, and finds a place in a package of a few thousand.
const (
	maxLines         = 500 // of a file
	maxFunctionLines = 80
	maxPackageLines  = 3500
)

func sizes(t *Tree) (faults []string) {
	packages := map[string]int{}
	for _, f := range t.Files {
		if f.Test || ast.IsGenerated(f.AST) {
			continue
		}
		n := t.fset.File(f.AST.FileStart).LineCount()
		packages[f.Dir()] += n
		if n > maxLines {
			faults = append(faults, fmt.Sprintf("%s: has %d lines; at most %d", f.Path, n, maxLines))
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if n := t.line(d.End()) - t.line(d.Pos()) + 1; ok && n > maxFunctionLines {
				faults = append(faults, t.at(fn, "%s has %d lines; at most %d", fn.Name.Name, n, maxFunctionLines))
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if n := packages[dir]; n > maxPackageLines {
			faults = append(faults, fmt.Sprintf("%s: has %d lines; at most %d", dir, n, maxPackageLines))
		}
	}
	return faults
}

func (t *Tree) line(at token.Pos) int { return t.fset.Position(at).Line }

// inits finds functions that run before main. What a package needs is data, or its caller
// sets it up.
func inits(t *Tree) (faults []string) {
	for _, f := range t.Files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				faults = append(faults, t.at(fn, "has a function init: declare a variable, or let the caller set up what it needs"))
			}
		}
	}
	return faults
}
