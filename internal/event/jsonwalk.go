package event

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on the shape of an event, which keep a refusal from costing more than
// an acceptance.
const (
	maxDepth  = 64    // nesting of arrays and objects; a report needs six
	maxValues = 20000 // values of every kind; a long report has a few hundred
)

// walker reads one JSON text (RFC 8259) in one pass, more strictly than
// encoding/json: a duplicate name, invalid UTF-8 and a lone surrogate are
// faults, each with its path. It reads on after such a fault and stops at the
// first error of syntax.
//
// Numbers become float64, which is what RFC 8785 defines the canonical form
// over; one that does not fit is a fault.
type walker struct {
	src    []byte
	pos    int
	root   string // path of the outermost value
	depth  int
	values int
	steps  []step
	faults *faults
	broken bool // syntax: nothing behind pos was read

	members []member // of the outermost object, in order, each name once
}

// member is where a member of the outermost object stands in src.
type member struct {
	name              string
	value             any
	begin, start, end int // of the name, of the value, behind the value
}

// walk reads src, whose outermost value lies depth levels deep at root.
func walk(src []byte, root string, depth int, f *faults) *walker {
	return &walker{src: src, root: root, depth: depth, faults: f}
}

// document reads the one value that src must hold.
func (w *walker) document() any {
	w.space()
	if w.pos == len(w.src) {
		w.broken = true
		w.faults.add(w.root, "is empty: want a JSON object")
		return nil
	}
	v := w.value()
	if w.broken {
		return nil
	}
	end := w.pos
	if w.space(); w.pos < len(w.src) {
		w.faults.add(w.root, "has %d more bytes behind its end at byte %d", len(w.src)-end, end)
	}
	return v
}

func (w *walker) path() string { return joinPath(w.root, w.steps) }

func (w *walker) syntax(format string, args ...any) {
	if !w.broken {
		w.broken = true
		w.faults.add(w.path(), "is not JSON at byte "+strconv.Itoa(w.pos)+": "+format, args...)
	}
}

func (w *walker) space() {
	for w.pos < len(w.src) {
		switch w.src[w.pos] {
		case ' ', '\t', '\n', '\r':
			w.pos++
		default:
			return
		}
	}
}

// next skips space and returns the next byte, or 0 at the end, which no JSON
// text contains outside of strings.
func (w *walker) next() byte {
	if w.space(); w.pos < len(w.src) {
		return w.src[w.pos]
	}
	return 0
}

func (w *walker) value() any {
	if w.values++; w.values > maxValues {
		w.broken = true
		w.faults.add(w.root, "has more than %d values", maxValues)
		return nil
	}
	switch c := w.next(); {
	case c == '{':
		return w.nested((*walker).object)
	case c == '[':
		return w.nested((*walker).array)
	case c == '"':
		return w.text()
	case c == '-' || '0' <= c && c <= '9':
		return w.number()
	case c == 't':
		return w.literal("true", true)
	case c == 'f':
		return w.literal("false", false)
	case c == 'n':
		return w.literal("null", nil)
	case w.pos == len(w.src):
		w.syntax("it ends where a value is expected")
	default:
		w.syntax("a value cannot begin with %q", w.char())
	}
	return nil
}

func (w *walker) char() rune {
	r, _ := utf8.DecodeRune(w.src[w.pos:])
	return r
}

func (w *walker) nested(read func(*walker) any) any {
	if w.depth++; w.depth > maxDepth {
		w.broken = true
		w.faults.add(w.path(), "is nested more than %d deep", maxDepth)
		return nil
	}
	v := read(w)
	w.depth--
	return v
}

func (w *walker) object() any {
	outermost := len(w.steps) == 0
	obj := make(map[string]any)
	w.pos++
	if w.next() == '}' {
		w.pos++
		return obj
	}
	for {
		if w.next() != '"' {
			w.syntax("a member must begin with a name in double quotes")
			return obj
		}
		m := member{begin: w.pos}
		m.name = w.text()
		if w.broken {
			return obj
		}
		w.steps = append(w.steps, step{name: m.name, named: true})
		_, twice := obj[m.name]
		if twice {
			w.faults.add(w.path(), "is given twice")
		}
		if w.next() != ':' {
			w.syntax("a colon is missing behind a name")
			return obj
		}
		w.pos++
		w.space()
		m.start = w.pos
		m.value = w.value()
		if m.end = w.pos; w.broken {
			return obj
		}
		w.steps = w.steps[:len(w.steps)-1]
		if !twice {
			obj[m.name] = m.value
			if outermost {
				w.members = append(w.members, m)
			}
		}
		if more := w.separator('}'); !more {
			return obj
		}
	}
}

func (w *walker) array() any {
	arr := []any{}
	w.pos++
	if w.next() == ']' {
		w.pos++
		return arr
	}
	for {
		w.steps = append(w.steps, step{index: len(arr)})
		v := w.value()
		if w.broken {
			return arr
		}
		w.steps = w.steps[:len(w.steps)-1]
		arr = append(arr, v)
		if more := w.separator(']'); !more {
			return arr
		}
	}
}

// separator reads the comma or the closing bracket behind an entry.
func (w *walker) separator(closing byte) (more bool) {
	switch w.next() {
	case ',':
		w.pos++
		return true
	case closing:
		w.pos++
	default:
		w.syntax("a comma or %c is missing", closing)
	}
	return false
}

func (w *walker) literal(word string, v any) any {
	if end := w.pos + len(word); end <= len(w.src) && string(w.src[w.pos:end]) == word {
		w.pos = end
		return v
	}
	w.syntax("want %s", word)
	return nil
}

func (w *walker) digits() bool {
	begin := w.pos
	for w.pos < len(w.src) && '0' <= w.src[w.pos] && w.src[w.pos] <= '9' {
		w.pos++
	}
	return w.pos > begin
}

func (w *walker) skip(set string) bool {
	if w.pos < len(w.src) {
		for i := range len(set) {
			if w.src[w.pos] == set[i] {
				w.pos++
				return true
			}
		}
	}
	return false
}

// number reads a number by the grammar of RFC 8259 section 6.
func (w *walker) number() any {
	begin := w.pos
	w.skip("-")
	ok := w.skip("0") || w.digits()
	if ok && w.skip(".") {
		ok = w.digits()
	}
	if ok && w.skip("eE") {
		w.skip("+-")
		ok = w.digits()
	}
	if !ok {
		w.syntax("a number is incomplete")
		return nil
	}
	v, err := strconv.ParseFloat(string(w.src[begin:w.pos]), 64)
	if err != nil {
		w.faults.add(w.path(), "is beyond the range of a number (IEEE 754 double, RFC 8785)")
		return 0.0
	}
	return v
}

// text reads a string. Names and most values are plain ASCII and are taken as
// they stand.
func (w *walker) text() string {
	w.pos++
	begin := w.pos
	for w.pos < len(w.src) {
		switch c := w.src[w.pos]; {
		case c == '"':
			w.pos++
			return string(w.src[begin : w.pos-1])
		case c < ' ' || c == '\\' || c >= utf8.RuneSelf:
			return w.escapedText(begin)
		}
		w.pos++
	}
	w.syntax("a string does not end")
	return ""
}

func (w *walker) escapedText(begin int) string {
	out := append(make([]byte, 0, w.pos-begin+64), w.src[begin:w.pos]...)
	valid := true
	for w.pos < len(w.src) {
		c := w.src[w.pos]
		switch {
		case c == '"':
			w.pos++
			if !valid {
				w.faults.add(w.path(), "is not valid UTF-8")
			}
			return string(out)
		case c < ' ':
			w.syntax("a string contains the control character U+%04X, which must be escaped", c)
			return ""
		case c == '\\':
			if out = w.escape(out); w.broken {
				return ""
			}
		case c < utf8.RuneSelf:
			out = append(out, c)
			w.pos++
		default:
			r, size := utf8.DecodeRune(w.src[w.pos:])
			valid = valid && (r != utf8.RuneError || size > 1)
			out = utf8.AppendRune(out, r)
			w.pos += size
		}
	}
	w.syntax("a string does not end")
	return ""
}

// escape reads one escape, or the two of a surrogate pair.
func (w *walker) escape(out []byte) []byte {
	if w.pos+1 == len(w.src) {
		w.syntax("a string does not end")
		return out
	}
	if i := strings.IndexByte(`"\/bfnrt`, w.src[w.pos+1]); i >= 0 {
		w.pos += 2
		return append(out, "\"\\/\b\f\n\r\t"[i])
	}
	high, ok := w.unicode()
	if !ok {
		w.syntax("a string contains an escape that JSON does not know")
		return out
	}
	if !utf16.IsSurrogate(high) {
		return utf8.AppendRune(out, high)
	}
	back := w.pos
	if low, ok := w.unicode(); ok {
		if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
			return utf8.AppendRune(out, r)
		}
		w.pos = back
	}
	w.faults.add(w.path(), `contains a lone surrogate \u%04x`, high)
	return utf8.AppendRune(out, utf8.RuneError)
}

// unicode reads \uXXXX, or nothing.
func (w *walker) unicode() (rune, bool) {
	if w.pos+6 > len(w.src) || w.src[w.pos] != '\\' || w.src[w.pos+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range w.src[w.pos+2 : w.pos+6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	w.pos += 6
	return r, true
}
