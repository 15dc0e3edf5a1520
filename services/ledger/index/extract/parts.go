package extract

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parts are the members of a JSON value that a row keeps: nil is all of it; otherwise, the
// named members of an object.
type parts map[string]parts

// partsOf returns the parts that a struct is decoded from, by its json tags. For a raw
// field, the tag part names the one member that is read.
func partsOf(t reflect.Type) parts {
	p := parts{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch member := f.Tag.Get("part"); {
		case member != "":
			p[name] = parts{member: nil}
		case f.Type.Kind() == reflect.Struct && f.Type.Name() == "":
			p[name] = partsOf(f.Type)
		default:
			p[name] = nil
		}
	}
	return p
}

// pick returns a JSON value reduced to the parts. It returns what is not JSON unchanged, so
// that decoding it reports what is wrong.
func (p parts) pick(raw []byte) []byte {
	in := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	out, err := p.append(make([]byte, 0, len(raw)/2), in)
	if err != nil || len(bytes.TrimSpace(raw[in.InputOffset():])) > 0 {
		return raw
	}
	return out
}

// append appends the parts of the next value.
func (p parts) append(out []byte, in *jsontext.Decoder) ([]byte, error) {
	if p == nil || in.PeekKind() != jsontext.KindBeginObject {
		value, err := in.ReadValue()
		return append(out, value...), err
	}
	_, err := in.ReadToken()
	out = append(out, '{')
	for err == nil && in.PeekKind() != jsontext.KindEndObject {
		var name jsontext.Value
		if name, err = in.ReadValue(); err != nil {
			return out, err
		}
		of, wanted := p[string(name[1:len(name)-1])]
		if !wanted {
			err = in.SkipValue()
			continue
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(out, name...), ':')
		out, err = of.append(out, in)
	}
	if err == nil {
		_, err = in.ReadToken()
	}
	return append(out, '}'), err
}
