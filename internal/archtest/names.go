package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// topLevel is everything at the top of the repository, besides dot-files and what
// .gitignore excludes.
var topLevel = list("cmd deploy internal schemas services go.mod go.sum LICENSE Makefile README.md")

func topLevels(t *Tree) (faults []string) {
	entries, err := fs.ReadDir(t.FS, ".")
	if err != nil {
		return []string{err.Error()}
	}
	ignored, _ := fs.ReadFile(t.FS, ".gitignore") // without one, nothing is ignored
	out := strings.Fields(string(ignored))
	for _, e := range entries {
		name := e.Name()
		made := slices.Contains(out, "/"+name) || slices.Contains(out, "/"+name+"/")
		if !made && !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			faults = append(faults, name+": does not belong at the top; there is room for: "+strings.Join(topLevel, " "))
		}
	}
	return faults
}

// mustExist are the documents that a reader starts with.
var mustExist = list("README.md services/doc.go")

// paths checks that every path that a document names exists: in the README, the
// architecture page, and every other Markdown file.
func paths(t *Tree) (faults []string) {
	names, err := markdown(t)
	if err != nil {
		return []string{err.Error()}
	}
	docs := slices.Clone(mustExist)
	for _, name := range names {
		if !slices.Contains(docs, name) {
			docs = append(docs, name)
		}
	}
	for _, doc := range docs {
		text, err := t.text(doc)
		if err != nil {
			faults = append(faults, doc+": "+err.Error())
			continue
		}
		for _, name := range pathsIn(text, t.Module) {
			if !exists(t.FS, path.Dir(doc), name) {
				faults = append(faults, fmt.Sprintf("%s: names %s, which does not exist", doc, name))
			}
		}
	}
	return faults
}

// text returns the text of a document: for a Go file its package comment.
func (t *Tree) text(doc string) (string, error) {
	for _, f := range t.Files {
		if f.Path == doc {
			return f.AST.Doc.Text(), nil
		}
	}
	raw, err := fs.ReadFile(t.FS, doc)
	return string(raw), err
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	address = regexp.MustCompile(`[a-z]+://[^\s)]*`)
	word    = regexp.MustCompile(`[^\s` + "`" + `"'()\[\]<>|,;:=+]+`)
	source  = regexp.MustCompile(`\.(go|md|yaml|json|sh|js|mjs|service|mod|sum)$`)
)

// pathsIn finds the words of a text that are paths of the repository: targets of links,
// words that begin with one of its folders, and words with a slash that begin with a dot
// or end like a source file. Absolute paths, addresses and other modules are ignored.
func pathsIn(text, module string) []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if target, _, _ := strings.Cut(m[1], "#"); target != "" && !address.MatchString(target) {
			add(target)
		}
	}
	for _, w := range word.FindAllString(address.ReplaceAllString(text, " "), -1) {
		w, _, _ = strings.Cut(w, "#") // a heading of the file
		w = strings.TrimPrefix(strings.TrimRight(w, ".!?*_"), module+"/")
		w = strings.TrimSuffix(strings.TrimPrefix(w, "./"), "/")
		first, _, deep := strings.Cut(w, "/")
		switch {
		case first == "" || first == "~" || strings.ContainsAny(w, "{}$\\"):
		case slices.Contains(topLevel, first), deep && first[0] == '.':
			add(w)
		case deep && !strings.Contains(first, ".") && source.MatchString(w):
			add(w)
		}
	}
	return out
}

var symbol = regexp.MustCompile(`\.[A-Z]\w*(\.[A-Z]\w*)?$`)

// exists looks for a path from the top, or from the document's own folder. The path may
// be a pattern that matches something, or end in a Go name.
func exists(tree fs.FS, dir, name string) bool {
	for _, at := range []string{name, path.Join(dir, name)} {
		at = path.Clean(at)
		for _, p := range []string{at, symbol.ReplaceAllString(at, "")} {
			if found, err := fs.Glob(tree, p); err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}
