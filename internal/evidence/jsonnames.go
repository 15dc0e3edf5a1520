package evidence

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode decodes JSON that has only one reading. No object in it may have two names that
// differ at most in case, nor a name that differs from one of the value's only in case:
// some readers accept "Subject" for "subject", and the last of two, while others take the
// first, or only the exact one. Members without a field in the value are ignored.
func Decode(raw []byte, into any) error {
	if err := checkNames(raw, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	return json.Unmarshal(raw, into, jsontext.AllowInvalidUTF8(true))
}

// CheckBody refuses names that differ only in case in the body of a record, if that is
// JSON.
func (r Record) CheckBody() error {
	err := checkNames(r.Body, nil)
	if err != nil && jsontext.Value(r.Body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return err
	}
	return nil
}

// checkNames finds two names in one object, anywhere in the JSON, that differ at most in
// case, and names that differ from a field of the type only in case.
func checkNames(raw []byte, into reflect.Type) error {
	c := nameCheck{jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowInvalidUTF8(true))} // refuses a name that is given twice
	if err := c.value(into); err != nil {
		return err
	}
	if _, err := c.tokens.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("more follows the JSON value"), err)
	}
	return nil
}

type nameCheck struct{ tokens *jsontext.Decoder }

// value checks a value that is decoded into a type, or into none.
func (c nameCheck) value(into reflect.Type) error {
	switch c.tokens.PeekKind() {
	case jsontext.KindBeginObject:
		return c.object(into)
	case jsontext.KindBeginArray:
		return c.array(elementOf(into))
	default:
		return c.tokens.SkipValue()
	}
}

func (c nameCheck) array(element reflect.Type) error {
	_, err := c.tokens.ReadToken()
	for err == nil && c.tokens.PeekKind() != jsontext.KindEndArray {
		err = c.value(element)
	}
	if err == nil {
		_, err = c.tokens.ReadToken()
	}
	return err
}

func (c nameCheck) object(into reflect.Type) error {
	fields, values := membersFor(into)
	seen := map[string]string{} // by their folded form
	_, err := c.tokens.ReadToken()
	for err == nil && c.tokens.PeekKind() != jsontext.KindEndObject {
		var token jsontext.Token
		if token, err = c.tokens.ReadToken(); err != nil {
			return err
		}
		name := token.String()
		key := folded(name)
		if other, clash := seen[key]; clash {
			return fmt.Errorf("the names %q and %q differ only in their case", other, name)
		}
		seen[key] = name
		member := values
		if f, known := fields[key]; known {
			if f.name != name {
				return fmt.Errorf("the name %q is written for %q", name, f.name)
			}
			member = f.of
		}
		err = c.value(member)
	}
	if err == nil {
		_, err = c.tokens.ReadToken()
	}
	return err
}

// folded returns the form that all names that differ only in case share.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); r >= utf8.RuneSelf && f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if 'A' <= least && least <= 'Z' {
			return least + 'a' - 'A'
		}
		return least
	}, name)
}

// field is a field of a struct: its JSON name and its type.
type field struct {
	name string
	of   reflect.Type
}

// fieldsOf caches the fields of struct types by the folded form of their JSON names.
var fieldsOf sync.Map // reflect.Type → map[string]field

// membersFor returns the fields that an object is decoded into; for a map, the type of
// its values. It returns neither for a type that decodes itself, or for none.
func membersFor(into reflect.Type) (fields map[string]field, values reflect.Type) {
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
		return known.(map[string]field), nil
	}
	fields = map[string]field{}
	for _, f := range reflect.VisibleFields(into) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Anonymous && name == "" && target(f.Type) != nil && target(f.Type).Kind() == reflect.Struct
		if name == "-" || !f.IsExported() || embedded {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[folded(name)] = field{name, f.Type}
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
	decodesJSON   = reflect.TypeFor[json.Unmarshaler]()
	decodesTokens = reflect.TypeFor[json.UnmarshalerFrom]()
	decodesText   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// target returns the type behind pointers, or nil where it decodes itself.
func target(t reflect.Type) reflect.Type {
	for t != nil {
		if p := reflect.PointerTo(t); p.Implements(decodesJSON) || p.Implements(decodesTokens) || p.Implements(decodesText) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}
