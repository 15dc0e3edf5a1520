package cloudevent

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on the shape of an event, which also bound the cost of a refusal.
const (
	maxDepth  = 64    // nesting of arrays and objects; a report needs six
	maxValues = 20000 // values of every kind; a long report has a few hundred
)

// fewNames is up to how many names of one object are compared one by one. A report has
// fewer fields.
const fewNames = 32

// walker reads one JSON text (RFC 8259) in one pass, more strictly than encoding/json: a
// duplicate name, invalid UTF-8 and a lone surrogate are faults, each with its path. It
// continues after such a fault and stops at the first syntax error.
//
// Numbers become float64, over which RFC 8785 defines the canonical form; a number that
// does not fit is a fault.
type walker struct {
	src    string // strings without escapes are parts of it
	pos    int
	root   string // path of the outermost value
	depth  int
	values int
	steps  []step
	nodes  value
	faults *faults
	broken bool // syntax error: nothing after pos was read

	members    []member // of the outermost object, in order, each name once
	attributes []node   // room for those that Parse finds among them
}

// walkers keeps finished walkers, to reuse their memory.
var walkers = sync.Pool{New: func() any { return new(walker) }}

// maxKeptNodes is up to how many nodes a finished walker may have room for to be reused.
const maxKeptNodes = 4096

// member is the position of a member of the outermost object in src.
type member struct {
	at                int // of the value in nodes
	begin, start, end int // of the name, of the value, after the value
}

// walk reads src, whose outermost value is nested depth levels deep at root.
func walk(src []byte, root string, depth int, f *faults) *walker {
	w := walkers.Get().(*walker)
	w.src, w.root, w.depth, w.faults = string(src), root, depth, f
	return w
}

// done releases the walker; it and the values that it has read must not be used any more.
func (w *walker) done() {
	if w == nil || cap(w.nodes) > maxKeptNodes {
		return
	}
	clear(w.nodes)
	clear(w.steps[:cap(w.steps)])
	clear(w.attributes)
	*w = walker{nodes: w.nodes[:0], steps: w.steps[:0], members: w.members[:0], attributes: w.attributes[:0]}
	walkers.Put(w)
}

// document reads the one value that src must contain.
func (w *walker) document() value {
	w.space()
	if w.pos == len(w.src) {
		w.broken = true
		w.faults.add(w.root, "is empty: want a JSON object")
		return nil
	}
	w.value("")
	if w.broken {
		return nil
	}
	end := w.pos
	if w.space(); w.pos < len(w.src) {
		w.faults.add(w.root, "has %d more bytes behind its end at byte %d", len(w.src)-end, end)
	}
	return w.nodes
}

// of returns the value of a member.
func (w *walker) of(m member) value { return w.nodes[m.at : m.at+w.nodes[m.at].size] }

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

// next skips space and returns the next byte, or 0 at the end, which no JSON text
// contains outside of strings.
func (w *walker) next() byte {
	if w.space(); w.pos < len(w.src) {
		return w.src[w.pos]
	}
	return 0
}

// value reads a value, with everything nested in it, into nodes.
func (w *walker) value(name string) {
	if w.values++; w.values > maxValues {
		w.broken = true
		w.faults.add(w.root, "has more than %d values", maxValues)
		return
	}
	at := len(w.nodes)
	w.nodes = append(w.nodes, node{name: name, size: 1})
	n := &w.nodes[at] // valid until nodes grow
	switch c := w.next(); {
	case c == '{':
		n.kind = jsonObject
		w.nested(at, (*walker).object)
	case c == '[':
		n.kind = jsonArray
		w.nested(at, (*walker).array)
	case c == '"':
		n.kind, n.text = jsonString, w.text()
	case c == '-' || '0' <= c && c <= '9':
		n.kind, n.num = jsonNumber, w.number()
	case c == 't':
		n.kind, n.num = jsonBoolean, 1
		w.literal("true")
	case c == 'f':
		n.kind = jsonBoolean
		w.literal("false")
	case c == 'n':
		n.kind = jsonNull
		w.literal("null")
	case w.pos == len(w.src):
		w.syntax("it ends where a value is expected")
	default:
		w.syntax("a value cannot begin with %q", w.char())
	}
}

func (w *walker) char() rune {
	r, _ := utf8.DecodeRuneInString(w.src[w.pos:])
	return r
}

func (w *walker) nested(at int, read func(w *walker, at int)) {
	if w.depth++; w.depth > maxDepth {
		w.broken = true
		w.faults.add(w.path(), "is nested more than %d deep", maxDepth)
		return
	}
	read(w, at)
	w.depth--
	w.nodes[at].size = len(w.nodes) - at
}

func (w *walker) object(at int) {
	outermost := len(w.steps) == 0
	var names map[string]bool // used once there are more than fewNames
	w.pos++
	if w.next() == '}' {
		w.pos++
		return
	}
	for count := 0; ; {
		if w.next() != '"' {
			w.syntax("a member must begin with a name in double quotes")
			return
		}
		m := member{begin: w.pos, at: len(w.nodes)}
		name := w.text()
		if w.broken {
			return
		}
		w.steps = append(w.steps, step{name: name, named: true})
		twice := names[name]
		if names == nil {
			twice = w.nodes[at:].member(name) != nil
		}
		if twice {
			w.faults.add(w.path(), "is given twice")
		}
		if w.next() != ':' {
			w.syntax("a colon is missing behind a name")
			return
		}
		w.pos++
		w.space()
		m.start = w.pos
		w.value(name)
		if m.end = w.pos; w.broken {
			return
		}
		w.steps = w.steps[:len(w.steps)-1]
		if twice {
			w.nodes = w.nodes[:m.at]
		} else if outermost {
			w.members = append(w.members, m)
		}
		if count++; count == fewNames {
			names = make(map[string]bool)
			for e := range w.nodes[at:].entries {
				names[e[0].name] = true
			}
		} else if names != nil {
			names[name] = true
		}
		if more := w.separator('}'); !more {
			return
		}
	}
}

func (w *walker) array(int) {
	w.pos++
	if w.next() == ']' {
		w.pos++
		return
	}
	for i := 0; ; i++ {
		w.steps = append(w.steps, step{index: i})
		w.value("")
		if w.broken {
			return
		}
		w.steps = w.steps[:len(w.steps)-1]
		if more := w.separator(']'); !more {
			return
		}
	}
}

// separator reads the comma or the closing bracket after an entry.
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

func (w *walker) literal(word string) {
	if !strings.HasPrefix(w.src[w.pos:], word) {
		w.syntax("want %s", word)
		return
	}
	w.pos += len(word)
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
func (w *walker) number() float64 {
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
		return 0
	}
	v, err := strconv.ParseFloat(w.src[begin:w.pos], 64)
	if err != nil {
		w.faults.add(w.path(), "is beyond the range of a number (IEEE 754 double, RFC 8785)")
		return 0
	}
	if v == 0 {
		return 0 // RFC 8785 has no -0
	}
	return v
}

// text reads a string. One without escapes, as nearly all are, is a slice of src.
func (w *walker) text() string {
	w.pos++
	rest, bits := w.src[w.pos:], byte(0)
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '"' && (bits < utf8.RuneSelf || utf8.ValidString(rest[:i])):
			w.pos += i + 1
			return rest[:i]
		case c < ' ', c == '\\', c == '"':
			return w.escapedText()
		default:
			bits |= c
		}
	}
	return w.escapedText()
}

func (w *walker) escapedText() string {
	var out []byte
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
			r, size := utf8.DecodeRuneInString(w.src[w.pos:])
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
			r = r<<4 | (c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | (c | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	w.pos += 6
	return r, true
}
