package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"
)

// jsonSpace is the white space of JSON (RFC 8259, section 2).
const jsonSpace = " \t\r\n"

// Parts selects the members of a JSON value to be decoded: nil is all of it; otherwise,
// the named members of an object. Most of a record is not needed, and skipping it costs
// less than decoding it.
type Parts map[string]Parts

// PartsOf returns the parts that a struct is decoded from, by its json tags. For a raw
// field, the tag part names the one member that is read.
func PartsOf(t reflect.Type) Parts {
	p := Parts{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch member := f.Tag.Get("part"); {
		case member != "":
			p[name] = Parts{member: nil}
		case f.Type.Kind() == reflect.Struct && f.Type.Name() == "":
			p[name] = PartsOf(f.Type)
		default:
			p[name] = nil
		}
	}
	return p
}

// Pick returns a JSON value reduced to the parts. What it skips need not be well-formed.
// A value that it cannot cut is returned unchanged, so that decoding it reports what is
// wrong.
func (p Parts) Pick(raw []byte) []byte {
	c := cutter{raw: raw, whole: true}
	c.space()
	out := c.value(p, make([]byte, 0, len(raw)/2))
	if c.space(); !c.whole || c.at != len(raw) {
		return raw
	}
	return out
}

// Members calls yield with each member of a JSON object in order; null has none. Values
// share the memory of raw. Syntax errors inside a value are not detected.
func Members(raw []byte, yield func(name string, value json.RawMessage) error) error {
	return members(raw, func(name []byte, value json.RawMessage) error {
		plain, err := textOf(name)
		if err != nil {
			return err
		}
		return yield(plain, value)
	})
}

// Member returns the value of a member of a JSON object, or nil.
func Member(raw []byte, name string) (found json.RawMessage, err error) {
	err = members(raw, func(quoted []byte, value json.RawMessage) error {
		is := string(quoted[1:len(quoted)-1]) == name
		if !is && bytes.IndexByte(quoted, '\\') >= 0 {
			plain, err := textOf(quoted)
			if err != nil {
				return err
			}
			is = plain == name
		}
		if is {
			found = value
		}
		return nil
	})
	return found, err
}

// members is Members with the names as written, in quotes.
func members(raw []byte, yield func(name []byte, value json.RawMessage) error) error {
	c := cutter{raw: raw, whole: true}
	c.space()
	if c.next() == 'n' && string(bytes.TrimRight(raw[c.at:], jsonSpace)) == "null" {
		return nil
	}
	c.take('{')
	for c.space(); c.whole && c.next() != '}'; c.space() {
		name := c.name()
		start := c.at
		c.skip()
		if !c.whole {
			break
		}
		if err := yield(name, c.raw[start:c.at:c.at]); err != nil {
			return err
		}
		if c.space(); c.next() != '}' {
			c.take(',')
			c.space()
			c.whole = c.whole && c.next() == '"'
		}
	}
	c.take('}')
	if c.space(); !c.whole || c.at != len(raw) {
		return errors.New("not a JSON object")
	}
	return nil
}

// textOf reads a JSON string.
func textOf(raw []byte) (text string, err error) {
	if n := len(raw); n > 1 && raw[0] == '"' && utf8.Valid(raw) {
		if text, plain := unescaped(raw[1 : n-1]); plain {
			return text, nil
		}
	}
	err = json.Unmarshal(raw, &text)
	return text, err
}

// unescaped decodes a text whose only escapes are line breaks, quotes and backslashes.
func unescaped(raw []byte) (text string, plain bool) {
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return string(raw), true
	}
	out := make([]byte, 0, len(raw))
	for ; i >= 0 && i+1 < len(raw); i = bytes.IndexByte(raw, '\\') {
		c := raw[i+1]
		switch c {
		case 'n':
			c = '\n'
		case '"', '\\':
		default:
			return "", false
		}
		out, raw = append(append(out, raw[:i]...), c), raw[i+2:]
	}
	return string(append(out, raw...)), i < 0
}

// cutter scans a JSON value.
type cutter struct {
	raw   []byte
	at    int
	whole bool // nothing has been missing so far
}

// next returns the next byte, or 0 at the end.
func (c *cutter) next() byte {
	if c.at < len(c.raw) {
		return c.raw[c.at]
	}
	return 0
}

func (c *cutter) space() {
	for c.at < len(c.raw) && (c.raw[c.at] == ' ' || c.raw[c.at] == '\n' || c.raw[c.at] == '\t' || c.raw[c.at] == '\r') {
		c.at++
	}
}

// take skips a required character.
func (c *cutter) take(sign byte) {
	if c.next() != sign {
		c.whole = false
		return
	}
	c.at++
}

// name returns the next member's name as written, and moves to its value.
func (c *cutter) name() []byte {
	start := c.at
	c.text()
	name := c.raw[start:c.at]
	c.space()
	c.take(':')
	c.space()
	return name
}

// value appends the parts of the next value.
func (c *cutter) value(p Parts, out []byte) []byte {
	if p == nil || c.next() != '{' {
		start := c.at
		c.skip()
		return append(out, c.raw[start:c.at]...)
	}
	out = append(out, '{')
	first := true
	c.at++
	for c.space(); c.whole && c.next() != '}'; c.space() {
		if !first {
			c.take(',')
			c.space()
		}
		first = false
		name := c.name()
		if !c.whole {
			return out
		}
		of, wanted := p[string(name[1:len(name)-1])]
		if !wanted {
			c.skip()
			continue
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(out, name...), ':')
		out = c.value(of, out)
	}
	c.take('}')
	return append(out, '}')
}

// text skips a string.
func (c *cutter) text() {
	c.take('"')
	for c.whole {
		end := bytes.IndexByte(c.raw[c.at:], '"')
		if end < 0 {
			c.whole = false
			return
		}
		escapes := 0
		for i := c.at + end - 1; i >= c.at && c.raw[i] == '\\'; i-- {
			escapes++
		}
		if c.at += end + 1; escapes%2 == 0 {
			return
		}
	}
}

// skip skips a value.
func (c *cutter) skip() {
	start, depth := c.at, 0
	for c.whole {
		switch c.next() {
		case '"':
			c.text()
		case '{', '[':
			depth++
			c.at++
			continue
		case '}', ']', ',', ' ', '\n', '\t', '\r':
			if depth == 0 { // the end of a number or a word
				c.whole = c.at > start
				return
			}
			if sign := c.next(); sign == '}' || sign == ']' {
				depth--
			}
			c.at++
		default:
			if c.at == len(c.raw) {
				c.whole = depth == 0 && c.at > start
				return
			}
			c.at++
			continue
		}
		if depth == 0 {
			return
		}
	}
}
