package document

import (
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Document is a document that was read, and what is wrong with it.
type Document struct {
	root    *yaml.Node // nil: it could not be read
	faults  []located
	refused map[string]bool // the paths of faults that Read found
}

type located struct {
	fault.Detail
	line, column int
}

// Read reads a YAML document of at most limit bytes, checks it against a schema, and
// decodes into v what obeys the schema, so that a caller can look for further faults in
// the same pass. Members that it does not know, scalars that break a rule and values of the
// wrong type are left out.
func Read(raw []byte, limit int, s *Schema, v any) *Document {
	d := Open(raw, limit)
	if d.root == nil {
		return d
	}
	root := yamlValue{d, "$", d.root}
	odd := map[string]*yaml.Node{}
	tree := root.plain(odd)
	rules := s.check(tree)
	for _, b := range rules {
		path := pathOf("$", tree, b.at, dotted)
		n, key := find(d.root, b.at)
		delete(odd, path)
		if n.Kind == yaml.AliasNode {
			continue // it is reported
		}
		switch {
		case b.types != nil:
			b.message = wanted(n, b.types)
		case b.unknown:
			n = key
		}
		d.add(path, b.message, n)
	}
	for path, n := range odd {
		d.add(path, "want text, which has to be quoted, or a number in plain decimal", n)
	}
	if err := decode(tree, rules, v); err != nil {
		d.Fail("$", "%v", err)
	}
	for _, f := range d.faults {
		d.refused[f.Path] = true
	}
	return d
}

// Open reads a YAML document of at most limit bytes without checking what it contains.
func Open(raw []byte, limit int) *Document {
	d := &Document{refused: map[string]bool{}}
	if root, ok := d.parse(raw, limit); ok {
		d.root = root.node
	}
	return d
}

// Fail adds a fault of the value at a path, unless Read found one there.
func (d *Document) Fail(path, format string, args ...any) {
	if d.root != nil && !d.refused[path] {
		d.add(path, fmt.Sprintf(format, args...), nearest(d.root, path))
	}
}

// add adds a fault of the value at a node; without one its position is not known.
func (d *Document) add(path, message string, n *yaml.Node) {
	f := located{Detail: fault.Detail{Path: path, Message: message}}
	if n != nil {
		f.Message += fmt.Sprintf(position, n.Line, n.Column)
		f.line, f.column = n.Line, n.Column
	}
	if !slices.Contains(d.faults, f) {
		d.faults = append(d.faults, f)
	}
}

// IsList reports whether the document has a list at a path.
func (d *Document) IsList(path string) bool {
	return d.root != nil && nearest(d.root, path).Kind == yaml.SequenceNode
}

// Faults returns the faults in the order of the text.
func (d *Document) Faults() []fault.Detail {
	slices.SortStableFunc(d.faults, func(a, b located) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	var out []fault.Detail
	for _, f := range d.faults {
		out = append(out, f.Detail)
	}
	return out
}

// pathOf writes a location as a path: "$.desks[2].id". Only the tree tells an index from
// a name.
func pathOf(path string, tree any, location []string, appendName func(path, name string) string) string {
	for i, token := range location {
		if _, list := valueAt(tree, location[:i]).([]any); list {
			path += "[" + token + "]"
		} else {
			path = appendName(path, token)
		}
	}
	return path
}

// dotted appends a step to a member of a YAML document: every name in the dot form.
func dotted(path, name string) string { return path + "." + name }

// prune removes the value at a location: a member is deleted, an item becomes null.
func prune(tree any, location []string) any {
	if len(location) == 0 {
		return nil
	}
	switch parent := tree.(type) {
	case map[string]any:
		if child, ok := parent[location[0]]; ok {
			if parent[location[0]] = prune(child, location[1:]); len(location) == 1 {
				delete(parent, location[0])
			}
		}
	case []any:
		if i, err := strconv.Atoi(location[0]); err == nil && i < len(parent) {
			parent[i] = prune(parent[i], location[1:])
		}
	}
	return tree
}
