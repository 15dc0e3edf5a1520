package extract

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parts are the members of a JSON value that a row keeps: nil is all of it; otherwise, the
// named members of an object.
type parts map[string]parts

// partsOf returns the parts at some paths: names that are separated by dots.
func partsOf(paths ...string) parts {
	all := parts{}
	for _, path := range paths {
		p, names := all, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			if p[name] == nil {
				p[name] = parts{}
			}
			p = p[name]
		}
		p[names[len(names)-1]] = nil
	}
	return all
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
