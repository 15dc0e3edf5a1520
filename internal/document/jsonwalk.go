package document

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on the shape of an event, which also bound the cost of a refusal.
const (
	maxDepth  = 64    // nesting of arrays and objects; a report needs six
	maxValues = 20000 // values of every kind; a long report has a few hundred
)

// Space is the white space between the tokens of JSON (RFC 8259, section 2);
// bytes.TrimSpace removes more.
const Space = " \t\r\n"

// fewNames is up to how many names of one object are compared one by one. A report has
// fewer fields.
const fewNames = 32

// Walker reads one JSON text (RFC 8259) in one pass, more strictly than a decoder: a
// duplicate name, invalid UTF-8 and a lone surrogate are faults, each with its path. It
// continues after such a fault and stops at the first syntax error.
//
// Numbers become float64, over which RFC 8785 defines the canonical form; a number that
// does not fit is a fault.
type Walker struct {
	tokens *jsontext.Decoder
	src    string // strings without escapes are parts of it
	root   string // path of the outermost value
	depth  int
	values int
	steps  []step
	nodes  Value
	faults *Faults

	Broken  bool     // by a syntax error: nothing after it was read
	Members []Member // of the outermost object, in order, each name once
}

// walkers keeps finished walkers, to reuse their memory.
var walkers = sync.Pool{New: func() any { return &Walker{tokens: new(jsontext.Decoder)} }}

// maxKeptNodes is up to how many nodes a finished walker may have room for to be reused.
const maxKeptNodes = 4096

// Member is the position of a member of the outermost object in src.
type Member struct {
	Begin, Start, End int // of the name, of the value, after the value
	at                int // of the value in nodes
}

// Walk returns a walker of src, whose outermost value is nested depth levels deep at root.
func Walk(src []byte, root string, depth int, f *Faults) *Walker {
	w := walkers.Get().(*Walker)
	w.src, w.root, w.depth, w.faults = string(src), root, depth, f
	w.tokens.Reset(bytes.NewBuffer(src), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return w
}

// Done releases the walker; it and the values that it has read must not be used any more.
func (w *Walker) Done() {
	if w == nil || cap(w.nodes) > maxKeptNodes {
		return
	}
	clear(w.nodes)
	clear(w.steps[:cap(w.steps)])
	w.tokens.Reset(bytes.NewBuffer(nil))
	*w = Walker{tokens: w.tokens, nodes: w.nodes[:0], steps: w.steps[:0], Members: w.Members[:0]}
	walkers.Put(w)
}

// Read reads the one value that src must contain.
func (w *Walker) Read() Value {
	if strings.Trim(w.src, Space) == "" {
		w.stop(w.root, "is empty: want a JSON object")
		return nil
	}
	w.value("")
	if w.Broken {
		return nil
	}
	end := w.offset()
	if strings.Trim(w.src[end:], Space) != "" {
		w.faults.Add(w.root, "has %d more bytes behind its end at byte %d", len(w.src)-end, end)
	}
	return w.nodes
}

// Of returns the value of a member.
func (w *Walker) Of(m Member) Value { return w.nodes[m.at : m.at+w.nodes[m.at].size] }

func (w *Walker) path() string { return joinPath(w.root, w.steps) }

// offset returns the index after the last token.
func (w *Walker) offset() int { return int(w.tokens.InputOffset()) }

// stop ends the reading with a fault.
func (w *Walker) stop(path, format string, args ...any) {
	w.Broken = true
	w.faults.Add(path, format, args...)
}

// failed reports whether the tokenizer has found a syntax error, which ends the reading.
func (w *Walker) failed(err error) bool {
	if err == nil {
		return false
	}
	var at *jsontext.SyntacticError
	if errors.As(err, &at) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.stop(w.path(), "is not JSON at byte %d: %v", at.ByteOffset, at.Err)
	} else {
		w.stop(w.path(), "is not JSON at byte %d: it does not end", len(w.src))
	}
	return true
}

// value reads a value, with everything nested in it, into nodes, and returns where it
// starts in src.
func (w *Walker) value(name string) (start int) {
	if w.values++; w.values > maxValues {
		w.stop(w.root, "has more than %d values", maxValues)
		return 0
	}
	at := len(w.nodes)
	w.nodes = append(w.nodes, Node{Name: name, size: 1})
	switch w.tokens.PeekKind() {
	case jsontext.KindBeginObject:
		w.nodes[at].Type = TypeObject
		return w.nested(at, (*Walker).object)
	case jsontext.KindBeginArray:
		w.nodes[at].Type = TypeArray
		return w.nested(at, (*Walker).array)
	}
	raw, err := w.tokens.ReadValue()
	if w.failed(err) {
		return 0
	}
	switch n := &w.nodes[at]; raw.Kind() {
	case jsontext.KindString:
		n.Type, n.Text = TypeString, w.text(raw)
	case jsontext.KindNumber:
		n.Type, n.Num = TypeNumber, w.number(raw)
	case jsontext.KindTrue:
		n.Type, n.Num = TypeBoolean, 1
	case jsontext.KindFalse:
		n.Type = TypeBoolean
	default:
		n.Type = TypeNull
	}
	return w.offset() - len(raw)
}

// nested reads an array or an object with its brackets.
func (w *Walker) nested(at int, read func(w *Walker, at int)) (start int) {
	if w.depth++; w.depth > maxDepth {
		w.stop(w.path(), "is nested more than %d deep", maxDepth)
		return 0
	}
	if _, err := w.tokens.ReadToken(); w.failed(err) {
		return 0
	}
	start = w.offset() - 1
	if read(w, at); w.Broken {
		return 0
	}
	_, err := w.tokens.ReadToken() // the closing bracket
	w.failed(err)
	w.depth--
	w.nodes[at].size = len(w.nodes) - at
	return start
}

func (w *Walker) object(at int) {
	outermost := len(w.steps) == 0
	var names map[string]bool // used once there are more than fewNames
	for count := 1; w.tokens.PeekKind() != jsontext.KindEndObject; count++ {
		raw, err := w.tokens.ReadValue()
		if w.failed(err) {
			return
		}
		m := Member{Begin: w.offset() - len(raw), at: len(w.nodes)}
		name := w.text(raw)
		w.steps = append(w.steps, step{name: name, named: true})
		twice := names[name]
		if names == nil {
			twice = w.nodes[at:].Member(name) != nil
		}
		if twice {
			w.faults.Add(w.path(), "is given twice")
		}
		if m.Start = w.value(name); w.Broken {
			return
		}
		m.End = w.offset()
		w.steps = w.steps[:len(w.steps)-1]
		if twice {
			w.nodes = w.nodes[:m.at]
		} else if outermost {
			w.Members = append(w.Members, m)
		}
		if count == fewNames {
			names = make(map[string]bool)
			for e := range w.nodes[at:].Entries {
				names[e[0].Name] = true
			}
		} else if names != nil {
			names[name] = true
		}
	}
}

func (w *Walker) array(int) {
	for i := 0; w.tokens.PeekKind() != jsontext.KindEndArray; i++ {
		w.steps = append(w.steps, step{index: i})
		if w.value(""); w.Broken {
			return
		}
		w.steps = w.steps[:len(w.steps)-1]
	}
}

func (w *Walker) number(raw jsontext.Value) float64 {
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		w.faults.Add(w.path(), "is beyond the range of a number (IEEE 754 double, RFC 8785)")
		return 0
	}
	if v == 0 {
		return 0 // RFC 8785 has no -0
	}
	return v
}

// text decodes the string that was just read. One without escapes, as nearly all are, is
// a part of src.
func (w *Walker) text(raw jsontext.Value) string {
	end := w.offset()
	plain := w.src[end-len(raw)+1 : end-1]
	if strings.IndexByte(plain, '\\') < 0 && utf8.ValidString(plain) {
		return plain
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		w.invalidText(plain)
	}
	return string(text)
}

// invalidText adds the faults of a string that is not Unicode.
func (w *Walker) invalidText(plain string) {
	if !utf8.ValidString(plain) {
		w.faults.Add(w.path(), "is not valid UTF-8")
	}
	for i := 0; i < len(plain); i++ {
		if plain[i] != '\\' {
			continue
		}
		if i++; plain[i] != 'u' {
			continue
		}
		high, low := codeUnit(plain[i-1:]), codeUnit(plain[i+5:])
		i += 4
		switch {
		case !utf16.IsSurrogate(high):
		case utf16.DecodeRune(high, low) != utf8.RuneError:
			i += 6
		default:
			w.faults.Add(w.path(), `contains a lone surrogate \u%04x`, high)
		}
	}
}

// codeUnit returns the value of the escape \uXXXX at the beginning of a string, or 0.
func codeUnit(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(s[2:6], 16, 16) // 0 for what is not hexadecimal
	return rune(n)
}
