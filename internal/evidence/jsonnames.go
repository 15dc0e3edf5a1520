package evidence

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Decode decodes JSON that has only one reading. No object in it may have two names that
// differ at most in case, nor a name that differs from one of the value's only in case:
// encoding/json accepts "Subject" for "subject", and the last of two, while other readers
// take the first, or only the exact one. Members without a field in the value are
// ignored.
func Decode(raw []byte, into any) error {
	if !json.Valid(raw) {
		if err := json.Unmarshal(raw, into); err != nil {
			return err
		}
		return errors.New("not JSON")
	}
	if err := checkNames(raw, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// checkNames finds two names in one object, anywhere in the JSON, that differ at most in
// case, and names that differ from a field of the type only in case.
func checkNames(raw []byte, into reflect.Type) error {
	s := nameScanner{rest: raw}
	s.value(into)
	return s.err
}

// CheckBody refuses names that differ only in case in the body of a record, if that is JSON.
func (r Record) CheckBody() error {
	if err := checkNames(r.Body, nil); err != nil && json.Valid(r.Body) {
		return err
	}
	return nil
}

// nameScanner scans the names in JSON. For invalid JSON its result is meaningless, but it
// ends.
type nameScanner struct {
	rest  []byte
	names [][]byte // of the open objects, the innermost last
	err   error
}

// fewNames is how many names of one object are compared one by one.
const fewNames = 32

// next skips white space and returns the byte after it, without consuming it.
func (s *nameScanner) next() byte {
	for i, c := range s.rest {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			s.rest = s.rest[i:]
			return c
		}
	}
	s.rest = nil
	return 0
}

// value scans a value that is decoded into a type, or into none.
func (s *nameScanner) value(into reflect.Type) {
	switch s.next() {
	case '{':
		s.object(into)
	case '[':
		s.rest = s.rest[1:]
		element := elementOf(into)
		for s.err == nil && s.more(']') {
			s.value(element)
		}
	case '"':
		s.text()
	default:
		i := bytes.IndexAny(s.rest, ",]} \t\r\n")
		if i <= 0 { // the end, or invalid JSON
			i = len(s.rest)
		}
		s.rest = s.rest[i:]
	}
}

// more reports whether another member or element follows, and consumes the end of the
// list or the separator.
func (s *nameScanner) more(end byte) bool {
	switch c := s.next(); c {
	case end, 0:
		s.rest = s.rest[min(1, len(s.rest)):]
		return false
	case ',':
		s.rest = s.rest[1:]
		s.next()
	}
	return true
}

func (s *nameScanner) object(into reflect.Type) {
	s.rest = s.rest[1:]
	begin := len(s.names)
	var many map[string][]byte // names by their folded form, once there are more than fewNames
	fields, values := membersFor(into)
	for s.err == nil && s.more('}') {
		name := s.text()
		if other, is := s.among(s.names[begin:], &many, name); is {
			s.clash(name, other)
			return
		}
		s.names = append(s.names, name)
		member := values
		if fields != nil {
			member = s.field(fields, name)
		}
		s.next()
		s.rest = s.rest[min(1, len(s.rest)):] // the colon
		s.value(member)
	}
	s.names = s.names[:begin]
}

// among returns an earlier name that differs from the new one at most in case.
func (s *nameScanner) among(names [][]byte, many *map[string][]byte, name []byte) (other []byte, is bool) {
	if len(names) < fewNames {
		for _, other := range names {
			if sameFolded(name, other) {
				return other, true
			}
		}
		return nil, false
	}
	if *many == nil {
		*many = make(map[string][]byte, 2*fewNames)
		for _, n := range names {
			(*many)[folded(n)] = n
		}
	}
	key := folded(name)
	if other, is = (*many)[key]; !is {
		(*many)[key] = name
	}
	return other, is
}

// folded returns the form that all names that differ only in case share.
func folded(name []byte) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, string(name))
}

// field returns the type of a name's field, or nil.
func (s *nameScanner) field(fields map[string]reflect.Type, name []byte) reflect.Type {
	if t, ok := fields[string(name)]; ok {
		return t
	}
	for known := range fields {
		if sameFolded(name, []byte(known)) {
			s.err = fmt.Errorf("the name %q is written for %q", name, known)
		}
	}
	return nil
}

func (s *nameScanner) clash(name, other []byte) {
	if bytes.Equal(name, other) {
		s.err = fmt.Errorf("%q stands there twice", name)
		return
	}
	s.err = fmt.Errorf("the names %q and %q differ only in their case", other, name)
}

// text scans a string and returns its content.
func (s *nameScanner) text() []byte {
	if i := bytes.IndexByte(s.rest[min(1, len(s.rest)):], '"'); i >= 0 && bytes.IndexByte(s.rest[1:i+1], '\\') < 0 {
		text := s.rest[1 : i+1]
		s.rest = s.rest[i+2:]
		return text
	}
	return s.escaped()
}

// escaped scans a string that contains an escape.
func (s *nameScanner) escaped() []byte {
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			raw := s.rest[:i+1]
			s.rest = s.rest[i+1:]
			var text string
			_ = json.Unmarshal(raw, &text) // the string is valid
			return []byte(text)
		}
	}
	s.rest = nil
	return nil
}

// sameFolded reports whether two names are the same to a reader that ignores case.
func sameFolded(a, b []byte) bool {
	if len(a) != len(b) && isASCII(a) && isASCII(b) {
		return false
	}
	return bytes.EqualFold(a, b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fieldsOf caches the fields of struct types by their JSON names.
var fieldsOf sync.Map // reflect.Type → map[string]reflect.Type

// membersFor returns the fields that an object is decoded into; for a map, the type of
// its values. It returns neither for a type that decodes itself, or for none.
func membersFor(into reflect.Type) (fields map[string]reflect.Type, values reflect.Type) {
	into = target(into)
	switch {
	case into == nil:
		return nil, nil
	case into.Kind() == reflect.Map:
		return nil, into.Elem()
	case into.Kind() != reflect.Struct:
		return nil, nil
	}
	if known, ok := fieldsOf.Load(into); ok {
		return known.(map[string]reflect.Type), nil
	}
	fields = map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(into) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Anonymous && name == "" && target(f.Type) != nil && target(f.Type).Kind() == reflect.Struct
		if name == "-" || !f.IsExported() || embedded {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	fieldsOf.Store(into, fields)
	return fields, nil
}

// elementOf returns the type of the elements that an array is decoded into, if any.
func elementOf(into reflect.Type) reflect.Type {
	if into = target(into); into != nil && (into.Kind() == reflect.Slice || into.Kind() == reflect.Array) {
		return into.Elem()
	}
	return nil
}

var (
	decodesJSON = reflect.TypeFor[json.Unmarshaler]()
	decodesText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// target returns the type behind pointers, or nil where it decodes itself.
func target(t reflect.Type) reflect.Type {
	for t != nil {
		if p := reflect.PointerTo(t); p.Implements(decodesJSON) || p.Implements(decodesText) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}
