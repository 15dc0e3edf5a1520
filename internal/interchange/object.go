package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// object is a JSON object that is read field by field. An absent field and a null are
// unknown; a field of the wrong type adds a fault and counts as unknown, so that one pass
// finds every fault. The zero object has no fields.
type object struct {
	fields map[string]any
	path   string
	faults *[]fault.Detail
}

// parseObject reads a JSON value that must be an object. For anything else it adds a fault
// and returns false.
func parseObject(text []byte, path string, faults *[]fault.Detail) (o object, ok bool) {
	o = object{path: path, faults: faults}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		o.addFault("", "is not JSON: %v", err)
		return o, false
	}
	if o.fields, ok = v.(map[string]any); !ok {
		o.addFault("", "must be an object, not %s", typeName(v))
	}
	// encoding/json takes the last of several members with one name.
	var bad *jsontext.SyntacticError
	if err := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowInvalidUTF8(true)).SkipValue(); errors.As(err, &bad) {
		*faults = append(*faults, fault.Detail{Path: path + pathOf(bad.JSONPointer), Message: "is repeated"})
	}
	return o, ok
}

// pathOf renders a JSON pointer as a path: ".data[1].amount".
func pathOf(p jsontext.Pointer) string {
	var path strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			fmt.Fprintf(&path, "[%s]", token)
		} else {
			path.WriteString("." + token)
		}
	}
	return path.String()
}

// addFault adds a fault of a field, or of the object itself when name is "".
func (o object) addFault(name, format string, args ...any) {
	d := fault.Detail{Path: o.at(name), Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(*o.faults, d) { // a field may be read twice
		*o.faults = append(*o.faults, d)
	}
}

// get returns the value of a field, or nil. A field whose name differs only in case would
// be lost unnoticed, so it is a fault; its value is read to find more faults.
func (o object) get(name string) any {
	v := o.fields[name]
	for other, found := range o.fields {
		if other != name && strings.EqualFold(other, name) {
			o.addFault(other, "must be written %q: names differ in their case", name)
			if v == nil {
				v = found
			}
		}
	}
	return v
}

// word returns the word of a field as one of those that matter here. One that differs
// from them only in case is a fault, as for the name of a field.
func (o object) word(name, word string, known ...string) string {
	for _, want := range known {
		if word != want && strings.EqualFold(word, want) {
			o.addFault(name, "%q must be written %q", word, want)
			return want
		}
	}
	return word
}

func (o object) at(name string) string {
	if name == "" {
		return o.path
	}
	return o.path + "." + name
}

// child returns the object in a field; known is false when there is none.
func (o object) child(name string) (c object, known bool) {
	c = object{path: o.at(name), faults: o.faults}
	v := o.get(name)
	if v == nil {
		return c, false
	}
	if c.fields, known = v.(map[string]any); !known {
		c.addFault("", "must be an object, not %s", typeName(v))
	}
	return c, known
}

// text returns the string in a field, or "".
func (o object) text(name string) string {
	v := o.get(name)
	s, ok := v.(string)
	if v != nil && !ok {
		o.addFault(name, "must be a string, not %s", typeName(v))
	}
	return s
}

// oneOf returns the string in a field, which must be one of the values, or "".
func (o object) oneOf(name string, values ...string) string {
	s := o.text(name)
	if s != "" && !slices.Contains(values, s) {
		o.addFault(name, "%q is none of: %s", s, strings.Join(values, ", "))
	}
	return s
}

// number returns the number in a field, which must be from 0 to 2^53-1.
func (o object) number(name string) (n float64, known bool) {
	v := o.get(name)
	if v == nil {
		return 0, false
	}
	literal, ok := v.(json.Number)
	if !ok {
		o.addFault(name, "must be a number, not %s", typeName(v))
		return 0, false
	}
	n, err := strconv.ParseFloat(literal.String(), 64)
	switch {
	case n < 0:
		o.addFault(name, "must not be negative")
	case err != nil || n > maxNumber:
		o.addFault(name, "is greater than %d", maxNumber)
	default:
		return n + 0, true // + 0 turns -0 into 0
	}
	return 0, false
}

// integer returns the whole number in a field, from 0 to 2^53-1.
func (o object) integer(name string) (n int64, known bool) {
	f, known := o.number(name)
	if known && f != float64(int64(f)) {
		o.addFault(name, "must be a whole number")
		return 0, false
	}
	return int64(f), known
}

// list returns the array in a field, or nil.
func (o object) list(name string) []any {
	v := o.get(name)
	l, ok := v.([]any)
	if v != nil && !ok {
		o.addFault(name, "must be an array, not %s", typeName(v))
	}
	return l
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
