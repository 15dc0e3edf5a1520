package cloudevent

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// reader sets dst from a value that is not null. It gives the same result as
// encoding/json with the canonical form of the value, or returns false.
type reader func(dst reflect.Value, v value) bool

// readReport sets a report from data that has passed validation, without encoding it to
// text as event.ParseReport does. Its readers are built from the types, as encoding/json
// builds its own; what they do not support is left to event.ParseReport.
func readReport(r *event.Report, v value) bool {
	ok := reportReader(reflect.ValueOf(r).Elem(), v)
	r.SetDefaults()
	return ok
}

var reportReader = readerOf(reflect.TypeFor[event.Report]())

func readerOf(t reflect.Type) reader {
	address := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time](): // its JSON is its text
		return readInstant
	case t == reflect.TypeFor[event.Number]():
		return readNumber
	case t == reflect.TypeFor[event.Span]():
		return readSpan
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
	t, err := event.ParseInstant(v.str())
	dst.Set(reflect.ValueOf(t))
	return err == nil
}

func readNumber(dst reflect.Value, v value) bool {
	v, atLeast := v.bound()
	if v.kind() != jsonNumber {
		return false
	}
	dst.Set(reflect.ValueOf(event.Number{Value: v[0].num, AtLeast: atLeast}))
	return true
}

func readSpan(dst reflect.Value, v value) bool {
	v, atLeast := v.bound()
	d, err := event.ParseDuration(v.str())
	dst.Set(reflect.ValueOf(event.Span{Duration: d, AtLeast: atLeast}))
	return err == nil
}

// bound returns the value that a lower bound contains, or the value itself.
func (v value) bound() (bounded value, atLeast bool) {
	if v.kind() == jsonObject {
		return v.member("atLeast"), true
	}
	return v, false
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
