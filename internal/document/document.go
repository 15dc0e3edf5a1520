// Package document strictly reads YAML that people write: the register and the statute
// packs.
//
// What it guarantees:
//
//   - No scalar silently becomes another. Text is what was written; what YAML
//     would read as a number, a boolean or null has to be quoted where text is
//     wanted. A number is written in plain decimal.
//   - All faults at once, each with its path, line and column.
//   - No anchors, aliases, merge keys, tags, duplicate keys or second document:
//     the text shows the whole content, and a small file cannot expand.
//   - Bounded in length and depth.
//
// A byte order mark is accepted.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-project/tocsin/internal/fault"
)

const maxDepth = 64

// Value is a value of a document and its path. Reading a value of the wrong type adds a
// fault and returns the zero value, so that one pass finds every fault.
type Value struct {
	faults *[]fault.Detail
	path   string
	node   *yaml.Node // nil for a path alone
}

// Fields maps each permitted key of a mapping to the function that reads its value.
type Fields map[string]func(Value)

// At returns a path without a value, to add faults to.
func At(faults *[]fault.Detail, path string) Value { return Value{faults: faults, path: path} }

// Parse reads the single document of raw, which has at most limit bytes. ok is false when
// it has no readable value.
func Parse(raw []byte, limit int, faults *[]fault.Detail) (root Value, ok bool) {
	root = Value{faults: faults, path: "$"}
	raw = trimMark(raw)
	switch {
	case len(raw) > limit:
		root.Fail("has more than %d bytes", limit)
		return root, false
	case isUTF16(raw):
		root.failAt(raw, 0, "not YAML: it is UTF-16: save it as UTF-8")
		return root, false
	case !utf8.Valid(raw):
		root.failAt(raw, validUTF8(raw), "not YAML: it is not UTF-8 from here on")
		return root, false
	}
	if at, deep := bracketsTooDeep(raw); deep {
		root.failAt(raw, at, "nested deeper than %d", maxDepth)
		return root, false
	}
	doc, err := parse(raw)
	if err != nil {
		root.syntax(raw, err)
		return root, false
	}
	if doc == nil || len(doc.Content) != 1 {
		root.failAt(raw, secondDocument(raw), "want exactly one document")
		return root, false
	}
	root.node = doc.Content[0]
	return root, root.check(0)
}

// parse returns the one document, or nil when there is none or more than one.
func parse(raw []byte) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("%v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var first, second yaml.Node
	if err := dec.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &first, nil
}

// secondDocument returns the offset of a second document, or 0.
func secondDocument(raw []byte) int {
	found := documentMark.FindAllIndex(raw, 2)
	if len(found) == 0 {
		return 0
	}
	return found[len(found)-1][0]
}

var documentMark = regexp.MustCompile(`(?m)^---(\s|$)`)

// isUTF16 reports whether a text is UTF-16, with a byte order mark or without: a text
// that people wrote has no zero bytes.
func isUTF16(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) ||
		len(raw) > 1 && (raw[0] == 0) != (raw[1] == 0)
}

// validUTF8 returns how many bytes at the beginning are valid UTF-8.
func validUTF8(raw []byte) (n int) {
	for n < len(raw) {
		r, size := utf8.DecodeRune(raw[n:])
		if r == utf8.RuneError && size == 1 {
			return n
		}
		n += size
	}
	return n
}

// bracketsTooDeep returns the offset of the first bracket that nests too deep.
func bracketsTooDeep(raw []byte) (at int, deep bool) {
	depth := 0
	for i, b := range raw {
		switch b {
		case '[', '{':
			if depth++; depth > maxDepth {
				return i, true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0, false
}

// Fail adds a fault of the value.
func (v Value) Fail(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if v.node != nil {
		message += fmt.Sprintf(position, v.node.Line, v.node.Column)
	}
	*v.faults = append(*v.faults, fault.Detail{Path: v.path, Message: message})
}

// Path returns the path of the value: "$.desks[2].id".
func (v Value) Path() string { return v.path }

// Faults returns how many faults have been added so far.
func (v Value) Faults() int { return len(*v.faults) }

func (v Value) field(key string, node *yaml.Node) Value {
	return Value{v.faults, v.path + "." + key, node}
}

func (v Value) item(i int) Value {
	return Value{v.faults, fmt.Sprintf("%s[%d]", v.path, i), v.node.Content[i]}
}

// check finds what is forbidden anywhere in a document. It returns false when the
// document nests too deep to be read.
func (v Value) check(depth int) bool {
	n := v.node
	switch {
	case depth > maxDepth:
		v.Fail("nested deeper than %d", maxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		v.Fail("an alias (*%s) is not allowed: repeat the value", n.Value)
		return true
	case n.Anchor != "":
		v.Fail("an anchor (&%s) is not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		v.Fail("a tag (%s) is not allowed", n.Tag)
	}
	shallow := true
	switch n.Kind {
	case yaml.SequenceNode:
		for i := range n.Content {
			shallow = v.item(i).check(depth+1) && shallow
		}
	case yaml.MappingNode:
		seen := make(map[string]bool)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			v.field(key.Value, key).checkKey(seen[key.Value])
			seen[key.Value] = true
			shallow = v.field(key.Value, n.Content[i+1]).check(depth+1) && shallow
		}
	}
	return shallow
}

func (v Value) checkKey(again bool) {
	key := v.node
	switch {
	case key.Tag == "!!merge":
		v.Fail("a merge key is not allowed: write the keys out")
	case key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || !v.isText():
		v.Fail("a key must be plain text")
	case again:
		v.Fail("the key is used twice")
	}
}

// Fields reads a mapping: every key must be known, and the required ones must be present.
func (v Value) Fields(known Fields, required ...string) {
	if v.node.Kind != yaml.MappingNode {
		v.wrong("want a mapping")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		child := v.field(key.Value, v.node.Content[i+1])
		read, ok := known[key.Value]
		switch {
		case seen[key.Value] || key.Kind != yaml.ScalarNode || key.Tag == "!!merge": // check has added the fault
		case !ok:
			Value{v.faults, child.path, key}.Fail("unknown key: want one of %s", strings.Join(sortedKeys(known), ", "))
		default:
			read(child)
		}
		seen[key.Value] = true
	}
	for _, key := range required {
		if !seen[key] {
			v.Fail("%s is missing", key)
		}
	}
}

func sortedKeys(m Fields) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Has reports whether a mapping has the key.
func (v Value) Has(key string) bool {
	if v.node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value == key {
			return true
		}
	}
	return false
}

// IsList reports whether the value is a sequence.
func (v Value) IsList() bool { return v.node.Kind == yaml.SequenceNode }

// Items returns the items of a sequence.
func (v Value) Items() []Value {
	if !v.IsList() {
		v.wrong("want a list")
		return nil
	}
	items := make([]Value, len(v.node.Content))
	for i := range items {
		items[i] = v.item(i)
	}
	return items
}

// wrong adds a fault for a value of the wrong type, unless check has already added one.
func (v Value) wrong(want string) {
	if v.node.Kind != yaml.AliasNode {
		v.Fail("%s", want)
	}
}

// isText reports whether a scalar is text and nothing else. A date is text unless the
// caller asks for a date.
func (v Value) isText() bool {
	return v.node.Kind == yaml.ScalarNode && (v.node.Tag == "!!str" || v.node.Tag == "!!timestamp")
}

// Text returns the text as written. Blocks lose the white space around them.
func (v Value) Text() string {
	switch {
	case v.isText():
		if v.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			return strings.TrimSpace(v.node.Value)
		}
		return v.node.Value
	case v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null":
		v.Fail("want text, not nothing: leave the key out")
	case v.node.Kind == yaml.ScalarNode && v.node.Style&yaml.TaggedStyle == 0:
		v.Fail("want text: quote it, %q", v.node.Value)
	default:
		v.wrong("want text")
	}
	return ""
}

// Bool returns true or false; no other spelling is accepted.
func (v Value) Bool() bool {
	if v.plainScalar() && (v.node.Value == "true" || v.node.Value == "false") {
		return v.node.Value == "true"
	}
	v.wrong("want true or false")
	return false
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// maxNumber is the greatest integer whose last digit a float64 keeps.
const maxNumber = 1<<53 - 1

// Number returns a number in plain decimal: no sign but the minus, no leading
// zero, no other base, no separators, no exponent.
func (v Value) Number() float64 {
	if !v.plainScalar() || !decimal.MatchString(v.node.Value) {
		v.wrong("want a number in plain decimal, such as 1000 or 0.5")
		return 0
	}
	f, err := strconv.ParseFloat(v.node.Value, 64)
	if err != nil || f > maxNumber || f < -maxNumber {
		v.Fail("the number is greater than %d", maxNumber)
		return 0
	}
	return f
}

func (v Value) plainScalar() bool {
	return v.node.Kind == yaml.ScalarNode && v.node.Style == 0
}

// Plain returns the value as encoding/json would decode it.
func (v Value) Plain() any {
	switch v.node.Kind {
	case yaml.MappingNode:
		out := make(map[string]any)
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			key := v.node.Content[i].Value
			out[key] = v.field(key, v.node.Content[i+1]).Plain()
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(v.node.Content))
		for i := range out {
			out[i] = v.item(i).Plain()
		}
		return out
	}
	switch v.node.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return v.Bool()
	case "!!int", "!!float":
		return v.Number()
	}
	return v.Text()
}
