package statute

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/tocsin-project/tocsin/internal/fault"
)

const (
	maxPackBytes = 1 << 20
	maxDepth     = 64
)

// node is a value of a YAML document and its path. Reading a value that is
// not what is wanted notes a fault and returns the zero value, so that one
// reading finds every fault.
type node struct {
	faults *[]fault.Detail
	path   string
	ast    ast.Node
}

// keys says how each permitted key of a mapping is read.
type keys map[string]func(node)

// into reads a value into a field.
func into[T any](dst *T, read func(node) T) func(node) {
	return func(n node) { *dst = read(n) }
}

// listOf reads every item of a sequence that is not empty.
func listOf[T any](read func(node) T) func(node) []T {
	return func(n node) []T {
		seq, ok := n.ast.(*ast.SequenceNode)
		if !ok || len(seq.Values) == 0 {
			n.fail("want a list with at least one item")
			return nil
		}
		out := make([]T, len(seq.Values))
		for i, v := range seq.Values {
			out[i] = read(node{n.faults, fmt.Sprintf("%s[%d]", n.path, i), v})
		}
		return out
	}
}

// oneOrMore reads a value or a sequence of them.
func oneOrMore[T any](read func(node) T) func(node) []T {
	return func(n node) []T {
		if _, ok := n.ast.(*ast.SequenceNode); ok {
			return listOf(read)(n)
		}
		return []T{read(n)}
	}
}

// parseDocument reads the single document of raw.
func parseDocument(raw []byte, faults *[]fault.Detail) (node, bool) {
	root := node{faults: faults, path: "$"}
	if len(raw) > maxPackBytes {
		root.fail("a pack has at most %d bytes", maxPackBytes)
		return root, false
	}
	if depth := nesting(raw); depth > maxDepth {
		root.fail("nested deeper than %d", maxDepth)
		return root, false
	}
	// Duplicate keys are found below, with their path and all of them at once.
	file, err := parser.ParseBytes(raw, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			root.fail("not YAML: line %d: %s", syntax.Token.Position.Line, syntax.Message)
		} else {
			root.fail("not YAML: %v", err)
		}
		return root, false
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		root.fail("want exactly one document")
		return root, false
	}
	root.ast = file.Docs[0].Body
	return root, true
}

// nesting bounds how deep a parser of raw would recurse: by open brackets, or
// by indentation and the indicators that nest on one line.
func nesting(raw []byte) int {
	deepest, flow, line, start := 0, 0, 0, true
	for i, b := range raw {
		switch {
		case b == '\n':
			line, start = 0, true
		case b == '[' || b == '{':
			flow++
		case (b == ']' || b == '}') && flow > 0:
			flow--
		case start && (b == ' ' || b == '\t'):
			line++
		case (b == '-' || b == '?' || b == ':') && i+1 < len(raw) && raw[i+1] <= ' ':
			line += 2
		default:
			start = false
		}
		deepest = max(deepest, flow+line/2)
	}
	return deepest
}

func (n node) fail(format string, args ...any) {
	*n.faults = append(*n.faults, fault.Detail{Path: n.path, Message: fmt.Sprintf(format, args...)})
}

// fields reads a mapping: every key must be known and stand once, and the
// required ones must be there.
func (n node) fields(known keys, required ...string) {
	m, ok := n.ast.(ast.MapNode)
	if !ok {
		n.fail("want a mapping")
		return
	}
	seen := make(map[string]bool)
	for it := m.MapRange(); it.Next(); {
		key, ok := it.Key().(*ast.StringNode)
		if !ok {
			n.fail("%s: a key must be plain text", it.Key())
			continue
		}
		child := node{n.faults, n.path + "." + key.Value, it.Value()}
		read, ok := known[key.Value]
		switch {
		case seen[key.Value]:
			child.fail("the key stands twice")
		case !ok:
			child.fail("unknown key: want one of %s", strings.Join(sortedKeys(known), ", "))
		default:
			read(child)
		}
		seen[key.Value] = true
	}
	for _, key := range required {
		if !seen[key] {
			n.fail("%s is missing", key)
		}
	}
}

// has reports whether a mapping has the key.
func (n node) has(key string) bool {
	m, ok := n.ast.(ast.MapNode)
	if !ok {
		return false
	}
	for it := m.MapRange(); it.Next(); {
		if k, ok := it.Key().(*ast.StringNode); ok && k.Value == key {
			return true
		}
	}
	return false
}

func sortedKeys(m keys) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// plain returns the value as encoding/json would decode it.
func (n node) plain() any {
	switch v := n.ast.(type) {
	case ast.MapNode:
		out := make(map[string]any)
		read := func(c node) { out[strings.TrimPrefix(c.path, n.path+".")] = c.plain() }
		known := make(keys)
		for it := v.MapRange(); it.Next(); {
			if k, ok := it.Key().(*ast.StringNode); ok {
				known[k.Value] = read
			}
		}
		n.fields(known)
		return out
	case *ast.SequenceNode:
		out := make([]any, len(v.Values))
		for i, item := range v.Values {
			out[i] = node{n.faults, fmt.Sprintf("%s[%d]", n.path, i), item}.plain()
		}
		return out
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return v.Value
	case *ast.IntegerNode, *ast.FloatNode:
		return n.number()
	default:
		return n.text()
	}
}
