// Package document reads documents by JSON Schemas: YAML that people write (the register
// and the statute packs) and JSON that programs send (reports and the acts of desks).
//
// What it guarantees of YAML:
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
//
// What it guarantees of JSON:
//
//   - All faults at once, each with its path: a name that is given twice, text that is not
//     Unicode, and every rule of the schema that is broken.
//   - What may be read is bounded in depth and in values, and what is listed in faults.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yamlValue is a value of a YAML document and its path.
type yamlValue struct {
	doc  *Document
	path string
	node *yaml.Node // nil for a path alone
}

// parse reads the single document of raw, which has at most limit bytes. ok is false when
// it has no readable value.
func (d *Document) parse(raw []byte, limit int) (root yamlValue, ok bool) {
	root = yamlValue{doc: d, path: "$"}
	raw = trimMark(raw)
	switch {
	case len(raw) > limit:
		root.fail("has more than %d bytes", limit)
		return root, false
	case IsUTF16(raw):
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

// IsUTF16 reports whether a text is UTF-16, with a byte order mark or without: YAML and
// JSON begin with an ASCII character and have no zero byte.
func IsUTF16(raw []byte) bool {
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

// fail adds a fault of the value.
func (v yamlValue) fail(format string, args ...any) {
	v.doc.add(v.path, fmt.Sprintf(format, args...), v.node)
}

func (v yamlValue) field(key string, node *yaml.Node) yamlValue {
	return yamlValue{v.doc, dotted(v.path, key), node}
}

func (v yamlValue) item(i int) yamlValue {
	return yamlValue{v.doc, fmt.Sprintf("%s[%d]", v.path, i), v.node.Content[i]}
}

// check finds what is forbidden anywhere in a document. It returns false when the
// document nests too deep to be read.
func (v yamlValue) check(depth int) bool {
	n := v.node
	switch {
	case depth > maxDepth:
		v.fail("nested deeper than %d", maxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		v.fail("an alias (*%s) is not allowed: repeat the value", n.Value)
		return true
	case n.Anchor != "":
		v.fail("an anchor (&%s) is not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		v.fail("a tag (%s) is not allowed", n.Tag)
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

func (v yamlValue) checkKey(again bool) {
	key := v.node
	switch {
	case key.Tag == "!!merge":
		v.fail("a merge key is not allowed: write the keys out")
	case key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || v.node.Kind != yaml.ScalarNode || v.node.Tag != "!!str" && v.node.Tag != "!!timestamp":
		v.fail("a key must be plain text")
	case again:
		v.fail("the key is used twice")
	}
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// maxNumber is the greatest integer whose last digit a float64 keeps.
const maxNumber = 1<<53 - 1

// plain returns the value as encoding/json would decode it. A scalar that is neither text
// nor true, false, null or a number in plain decimal becomes null, and is added to odd.
func (v yamlValue) plain(odd map[string]*yaml.Node) any {
	n := v.node
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, again := out[key]; !again { // check has added the fault
				out[key] = v.field(key, n.Content[i+1]).plain(odd)
			}
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i := range out {
			out[i] = v.item(i).plain(odd)
		}
		return out
	case yaml.AliasNode:
		return nil // check has added the fault
	}
	switch {
	case n.Tag == "!!str" || n.Tag == "!!timestamp": // a date is text
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			return strings.TrimSpace(n.Value) // blocks lose the white space around them
		}
		return n.Value
	case n.Style == 0 && (n.Value == "true" || n.Value == "false"):
		return n.Value == "true"
	case n.Style == 0 && decimal.MatchString(n.Value):
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f <= maxNumber && f >= -maxNumber {
			return f
		}
	case n.Tag == "!!null":
		return nil
	}
	odd[v.path] = n
	return nil
}

// wanted says which type a value should have.
func wanted(n *yaml.Node, types []string) string {
	scalar := n.Kind == yaml.ScalarNode
	switch types[0] {
	case "string":
		switch {
		case scalar && n.Tag == "!!null":
			return "want text, not nothing: leave the key out"
		case scalar && n.Style&yaml.TaggedStyle == 0:
			return fmt.Sprintf("want text: quote it, %q", n.Value)
		}
		return "want text"
	case "integer":
		return "want a whole number"
	case "number":
		if scalar && n.Style == 0 && decimal.MatchString(n.Value) {
			return fmt.Sprintf("the number is greater than %d", maxNumber)
		}
		return "want a number in plain decimal, such as 1000 or 0.5"
	case "boolean":
		return "want true or false"
	case "array":
		return "want a list"
	}
	return "want a mapping"
}
