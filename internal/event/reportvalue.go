package event

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// reader sets dst from a value that is not null. It gives the same result as
// encoding/json with the canonical form of the value, or returns false.
type reader func(dst reflect.Value, v value) bool

// valueReader is a type with its own reader of values.
type valueReader interface{ readValue(v value) bool }

// readReport reads the data of a report that has passed validation, without encoding it
// to text as decodeReport does. Its readers are built from the types, as encoding/json
// builds its own; what they do not support is left to decodeReport.
var readReport = readerOf(reflect.TypeFor[Report]())

func (r *Report) read(v value) bool {
	ok := readReport(reflect.ValueOf(r).Elem(), v)
	r.settle()
	return ok
}

func readerOf(t reflect.Type) reader {
	address := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time](): // its JSON is its text
		return readInstant
	case address.Implements(reflect.TypeFor[valueReader]()):
		return func(dst reflect.Value, v value) bool { return dst.Addr().Interface().(valueReader).readValue(v) }
	case address.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return nil
	case address.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return readText
	}
	switch t.Kind() {
	case reflect.String:
		return func(dst reflect.Value, v value) bool {
			dst.SetString(strings.Clone(v.str())) // a clone, so that the whole event can be freed
			return v.kind() == jsonString
		}
	case reflect.Bool:
		return func(dst reflect.Value, v value) bool {
			dst.SetBool(v[0].num == 1)
			return v.kind() == jsonBoolean
		}
	case reflect.Float64:
		return func(dst reflect.Value, v value) bool {
			dst.SetFloat(v[0].num)
			return v.kind() == jsonNumber
		}
	case reflect.Pointer:
		return pointerReader(t.Elem(), readerOf(t.Elem()))
	case reflect.Slice:
		return sliceReader(t, readerOf(t.Elem()))
	case reflect.Struct:
		return structReader(t)
	default:
		return nil
	}
}

func readText(dst reflect.Value, v value) bool {
	return v.kind() == jsonString && dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(v.str())) == nil
}

func readInstant(dst reflect.Value, v value) bool {
	if readText(dst, v) {
		return true
	}
	t, err := parseInstant(v.str())
	dst.Set(reflect.ValueOf(t))
	return err == nil
}

func pointerReader(t reflect.Type, read reader) reader {
	if read == nil {
		return nil
	}
	return func(dst reflect.Value, v value) bool {
		p := reflect.New(t)
		dst.Set(p)
		return read(p.Elem(), v)
	}
}

func sliceReader(t reflect.Type, read reader) reader {
	if read == nil {
		return nil
	}
	return func(dst reflect.Value, v value) bool {
		count := v.count()
		dst.Set(reflect.MakeSlice(t, count, count))
		for i, e := range v.items {
			if e.kind() == jsonNull || !read(dst.Index(i), e) {
				return false
			}
		}
		return v.kind() == jsonArray
	}
}

func structReader(t reflect.Type) reader {
	type fieldReader struct {
		index []int
		read  reader
	}
	fields := make(map[string]fieldReader)
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous { // its fields are promoted
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = fieldReader{f.Index, readerOf(f.Type)}
	}
	return func(dst reflect.Value, v value) bool {
		for e := range v.entries {
			f := fields[e[0].name]
			if f.read == nil {
				return false
			}
			if e.kind() != jsonNull && !f.read(dst.FieldByIndex(f.index), e) {
				return false
			}
		}
		return v.kind() == jsonObject
	}
}
