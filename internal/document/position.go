package document

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const position = " (line %d, column %d)"

var pathStep = regexp.MustCompile(`\.([^.\[\]]+)|\[([0-9]+)\]`)

// nearest returns the value at a path such as "$.desks[2].id", or the last existing one
// on the way to it.
func nearest(n *yaml.Node, path string) *yaml.Node {
	var location []string
	for _, step := range pathStep.FindAllStringSubmatch(path, -1) {
		location = append(location, step[1]+step[2]) // a key or an index
	}
	value, _ := find(n, location)
	return value
}

// trimMark drops a byte order mark.
func trimMark(raw []byte) []byte { return bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) }

// failAt adds a fault at an offset of the text.
func (v yamlValue) failAt(raw []byte, offset int, format string, args ...any) {
	before := raw[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	v.doc.add(v.path, fmt.Sprintf(format, args...), &yaml.Node{Line: line, Column: column})
}

// maxBroken bounds a text that is parsed repeatedly to find where it breaks.
const maxBroken = 1 << 20

// syntax adds a fault for an error of the YAML parser. The parser gives the beginning of
// a block or no position: the reported line is the first one after which the text can no
// longer be parsed, whatever follows.
func (v yamlValue) syntax(raw []byte, err error) {
	message := "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
	if len(raw) > maxBroken {
		v.fail("%s", message)
		return
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	whole := wholeLines(lines)
	start := len(bytes.Join(lines[:whole], nil))
	broken := raw[start:]
	offset := start + len(broken) - len(bytes.TrimLeft(broken, " \t"))
	if found := aliasUse.FindSubmatchIndex(bytes.SplitAfterN(broken, []byte("\n"), 2)[0]); found != nil && strings.Contains(message, "anchor") {
		offset = start + found[2]
		message = fmt.Sprintf("not YAML: the alias %s names no anchor, and neither is allowed: repeat the value", raw[offset:start+found[3]])
	}
	v.path = pathAt(raw, start, offset)
	v.failAt(raw, offset, "%s", lineOfParser.ReplaceAllString(message, ""))
}

// pathAt returns the path of the value at an offset of the first line that cannot be
// parsed, as far as the text before it and the key on it show.
func pathAt(raw []byte, start, offset int) string {
	path := "$"
	ends := []int{start, offset}
	line, _, _ := bytes.Cut(raw[start:], []byte("\n"))
	if colon := bytes.IndexByte(line, ':'); colon >= 0 {
		ends = append(ends, start+colon+1)
	}
	for _, end := range ends {
		if doc, err := parse(raw[:end]); err == nil && doc != nil && len(doc.Content) == 1 {
			path = lastPath(doc.Content[0], "$")
		}
	}
	return path
}

var (
	aliasUse     = regexp.MustCompile(`(?:^|[\s\[{,:-])(\*[^\s,\]}]+)`)
	lineOfParser = regexp.MustCompile(`line [0-9]+: `)
)

// wholeLines returns how many leading lines of an invalid text can be parsed, such that
// no longer part can.
func wholeLines(lines [][]byte) int {
	parses := func(n int) bool {
		_, err := parse(bytes.Join(lines[:n], nil))
		return err == nil
	}
	low, high := 0, len(lines)
	for low+1 < high {
		// An open construct, such as a list in brackets, can be parsed again further on.
		const ahead = 20
		middle := (low + high) / 2
		at := middle
		for at < min(middle+ahead, high) && !parses(at) {
			at++
		}
		if at < min(middle+ahead, high) {
			low = at
		} else {
			high = middle
		}
	}
	return low
}

// lastPath returns the path of the last value of a document.
func lastPath(n *yaml.Node, path string) string {
	for len(n.Content) > 0 {
		last := len(n.Content) - 1
		switch n.Kind {
		case yaml.MappingNode:
			path += "." + n.Content[last-1].Value
		case yaml.SequenceNode:
			path += fmt.Sprintf("[%d]", last)
		default:
			return path
		}
		n = n.Content[last]
	}
	return path
}

// find returns the value at a location and its key, if it is a member, or the last
// existing ones on the way to it.
func find(n *yaml.Node, location []string) (value, key *yaml.Node) {
	for _, token := range location {
		switch n.Kind {
		case yaml.MappingNode:
			i := 0
			for i < len(n.Content) && n.Content[i].Value != token {
				i += 2
			}
			if i >= len(n.Content) {
				return n, key
			}
			key, n = n.Content[i], n.Content[i+1]
		case yaml.SequenceNode:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(n.Content) {
				return n, key
			}
			n = n.Content[i]
		default:
			return n, key
		}
	}
	return n, key
}
