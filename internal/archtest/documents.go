package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	readme = "README.md"
	// maxReadmeLines is the maximum length of the README: what goes beyond the first ten
	// minutes belongs in a handbook.
	maxReadmeLines = 250
	handbooks      = "deploy/handbook"
)

// markdown lists the Markdown files of the tree, including those of .github.
func markdown(t *Tree) ([]string, error) {
	var names []string
	err := fs.WalkDir(t.FS, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && name != ".github" && !isSource(d.Name()):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".md":
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// documents checks what a reader of the Markdown files relies on: links to headings lead
// somewhere, named metrics and make targets exist, every handbook begins with a table of
// contents, and the README stays short.
func documents(t *Tree) (faults []string) {
	names, err := markdown(t)
	if err != nil {
		return []string{err.Error()}
	}
	metrics := metricNames(t)
	makefile, _ := fs.ReadFile(t.FS, "Makefile") // without one there are no targets
	for _, name := range names {
		raw, err := fs.ReadFile(t.FS, name)
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		text := string(raw)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if fragment != "" && !address.MatchString(m[1]) && !t.hasHeading(name, target, fragment) {
				faults = append(faults, fmt.Sprintf("%s: links to %s, which is no heading", name, m[1]))
			}
		}
		for _, m := range metric.FindAllString(text, -1) {
			if !metrics[m] {
				faults = append(faults, fmt.Sprintf("%s: names the metric %s, which does not exist", name, m))
			}
		}
		for _, m := range makeCommand.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				faults = append(faults, fmt.Sprintf("%s: names the target %s of make, which does not exist", name, m[1]))
			}
		}
		if path.Dir(name) == handbooks {
			faults = append(faults, contents(name, text)...)
		}
		if n := strings.Count(text, "\n"); name == readme && n > maxReadmeLines {
			faults = append(faults, fmt.Sprintf("%s: has %d lines; at most %d", name, n, maxReadmeLines))
		}
	}
	return faults
}

// makeCommand matches a make target in a code span, or at the start of a line.
var makeCommand = regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)(?:`|$|  )")

var metric = regexp.MustCompile(`\btocsin(_[a-z0-9]+)+\b`)

// metricNames collects the string literals of the product that look like metrics.
func metricNames(t *Tree) map[string]bool {
	names := map[string]bool{}
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && metric.MatchString(lit.Value) {
				names[unquote(lit.Value)] = true
			}
			return true
		})
	}
	return names
}

// contents reports the chapters of a handbook that are not linked before the first one.
func contents(name, text string) (faults []string) {
	before, _, _ := strings.Cut(text, "\n## ")
	for _, h := range headings(text) {
		if h.level == 2 && !strings.Contains(before, "(#"+h.anchor+")") {
			faults = append(faults, fmt.Sprintf("%s: the table of contents lacks #%s", name, h.anchor))
		}
	}
	return faults
}

// hasHeading reports whether a fragment names a heading of the file that a link in doc
// points to.
func (t *Tree) hasHeading(doc, target, fragment string) bool {
	file := doc
	if target != "" {
		file = path.Join(path.Dir(doc), target)
	}
	raw, err := fs.ReadFile(t.FS, file)
	return err == nil && slices.ContainsFunc(headings(string(raw)), func(h heading) bool { return h.anchor == fragment })
}

type heading struct {
	level  int
	anchor string
}

var headingLine = regexp.MustCompile(`^(#{1,6}) +(.+)$`)

// headings returns the headings outside code blocks, with GitHub's anchors: lower case,
// spaces as hyphens, without punctuation.
func headings(text string) (out []heading) {
	inCode := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "```") {
			inCode = !inCode
		}
		m := headingLine.FindStringSubmatch(line)
		if inCode || m == nil {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[2])
		out = append(out, heading{len(m[1]), anchor})
	}
	return out
}
