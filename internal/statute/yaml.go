package statute

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/tocsin-project/tocsin/internal/event"
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

func (n node) text() string {
	switch v := n.ast.(type) {
	case *ast.StringNode:
		if strings.TrimSpace(v.Value) != "" {
			return v.Value
		}
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value)
	}
	n.fail("want text; quote digits")
	return ""
}

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	regionPattern = regexp.MustCompile(`^[0-9]{2,6}$`)
	shanghai      = time.FixedZone("+08:00", 8*60*60)
)

func (n node) id() string {
	s := n.text()
	if s != "" && (!idPattern.MatchString(s) || len(s) > 64) {
		n.fail("%q is not an id: want lower-case words joined by hyphens, 64 characters at most", s)
	}
	return s
}

func (n node) region() string {
	s := n.text()
	if s != "" && !regionPattern.MatchString(s) {
		n.fail("%q is not a GB/T 2260 code or its beginning", s)
	}
	return s
}

func (n node) boolean() bool {
	if v, ok := n.ast.(*ast.BoolNode); ok {
		return v.Value
	}
	n.fail("want true or false")
	return false
}

func (n node) booleanRef() *bool {
	b := n.boolean()
	return &b
}

func (n node) number() float64 {
	switch v := n.ast.(type) {
	case *ast.IntegerNode:
		switch i := v.Value.(type) {
		case int64:
			return float64(i)
		case uint64:
			return float64(i)
		}
	case *ast.FloatNode:
		return v.Value
	}
	n.fail("want a number")
	return 0
}

func (n node) duration() time.Duration {
	s := n.text()
	if s == "" {
		return 0
	}
	d, err := event.ParseDuration(s)
	if err != nil {
		n.fail("%v", err)
	}
	return d
}

// date reads a calendar date as its first instant in the time of the law.
func (n node) date() time.Time {
	s := n.text()
	if s == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.DateOnly, s, shanghai)
	if err != nil {
		n.fail("%q is not a calendar date such as 2025-11-01", s)
	}
	return t
}

func (n node) instant() time.Time {
	s := n.text()
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		n.fail("%q is not an RFC 3339 time", s)
	}
	return t
}

func (n node) grade() event.Grade {
	s := n.text()
	if s == "" {
		return event.Ungraded
	}
	g, err := event.ParseGrade(s)
	if err != nil || g == event.Ungraded {
		n.fail("%q is not a grade: want especially-grave, major, relatively-large or general", s)
	}
	return g
}

// oneOf reads a word of a closed list.
func oneOf[T ~string](words ...T) func(node) T {
	return func(n node) T {
		s := T(n.text())
		if s != "" && !slices.Contains(words, s) {
			n.fail("%q is unknown: want one of %s", s, joinWords(words))
		}
		return s
	}
}

func joinWords[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
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
