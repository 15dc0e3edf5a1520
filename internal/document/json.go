package document

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Object is a JSON object that a program sent.
type Object struct {
	members map[string]any
	count   int
	twice   []fault.Detail
}

// ParseJSON parses a JSON object. A member that is null counts as left out, and one that
// is given twice is a fault that Read reports.
func ParseJSON(raw []byte) (*Object, error) {
	o := &Object{}
	dec := jsontext.NewDecoder(strings.NewReader(string(raw)), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("want a JSON object")
	}
	v, err := o.value(dec, "$")
	if err != nil {
		return nil, err
	}
	if dec.PeekKind() != 0 {
		return nil, fmt.Errorf("something follows it")
	}
	o.members = v.(map[string]any)
	return o, nil
}

// Members returns how many members the object has.
func (o *Object) Members() int { return o.count }

func (o *Object) value(dec *jsontext.Decoder, path string) (any, error) {
	t, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '{':
		out := map[string]any{}
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			v, err := o.value(dec, path+"."+key)
			if err != nil {
				return nil, err
			}
			if path == "$" {
				o.count++
			}
			if _, again := out[key]; again {
				o.twice = append(o.twice, fault.Detail{Path: path, Message: fmt.Sprintf("holds %q twice", key)})
			} else {
				out[key] = v
			}
		}
		_, err := dec.ReadToken()
		return out, err
	case '[':
		out := []any{}
		for dec.PeekKind() != ']' {
			v, err := o.value(dec, fmt.Sprintf("%s[%d]", path, len(out)))
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := dec.ReadToken()
		return out, err
	case '"':
		return t.String(), nil
	case '0':
		return json.Number(t.String()), nil
	case 't', 'f':
		return t.Bool(), nil
	}
	return nil, nil
}

// Read checks the object against a schema, decodes into v what obeys it, and returns all
// faults. What it does not know is a fault of the object that has it.
func (o *Object) Read(s *Schema, v any) []fault.Detail {
	faults := o.twice
	for name, member := range o.members {
		if member == nil {
			delete(o.members, name)
		}
	}
	rules := s.check(o.members)
	for _, b := range rules {
		f := fault.Detail{Path: pathOf(o.members, b.at), Message: b.message}
		switch {
		case b.unknown:
			last := len(b.at) - 1
			f = fault.Detail{Path: pathOf(o.members, b.at[:last]), Message: fmt.Sprintf("unknown member %q", b.at[last])}
		case b.types != nil:
			f.Message = "want " + typeNames[b.types[0]]
		}
		faults = append(faults, f)
	}
	var tree any = o.members
	for _, b := range rules {
		if !b.whole {
			tree = prune(tree, b.at)
		}
	}
	raw, err := json.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		faults = append(faults, fault.Detail{Path: "$", Message: err.Error()})
	}
	return faults
}

var typeNames = map[string]string{
	"string": "a string", "number": "a number", "integer": "a whole number", "object": "an object", "array": "a list", "boolean": "true or false",
}
