// Package codectest tests codecs: it fills every exported field of a value, encodes and
// decodes it, and compares. A field that a codec forgets, also one added later, fails the
// test.
package codectest

import (
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/stretchr/testify/require"
)

// JSON checks the JSON of the types of some values, with these options and with those of
// encoding/json, by which commands and HTTP answers are written.
func JSON(t *testing.T, options json.Options, values ...any) {
	t.Helper()
	for _, v := range values {
		of := reflect.TypeOf(v)
		t.Run(of.String(), func(t *testing.T) {
			Value(t, of, func(v any) ([]byte, error) { return json.Marshal(v, options) }, func(raw []byte, v any) error { return json.Unmarshal(raw, v, options) })
			Value(t, of, jsonv1.Marshal, jsonv1.Unmarshal)
		})
	}
}

// Value checks any codec of a type.
func Value(t *testing.T, of reflect.Type, encode func(v any) ([]byte, error), decode func(raw []byte, v any) error) {
	t.Helper()
	want, got := reflect.New(of), reflect.New(of)
	Fill(want.Interface())
	raw, err := encode(want.Interface())
	require.NoError(t, err)
	require.NoError(t, decode(raw, got.Interface()), "%s", raw)
	require.Equal(t, want.Interface(), got.Interface(), "what was decoded from %s", raw)
}

// Reads checks a type that reads some members of the JSON of a record's body: a full body
// must set every field of it, at any depth. A member that is renamed in one of the two
// fails the test.
func Reads(t *testing.T, options json.Options, body, reader any) {
	t.Helper()
	full := reflect.New(reflect.TypeOf(body))
	Fill(full.Interface())
	raw, err := json.Marshal(full.Interface(), options)
	require.NoError(t, err)
	got := reflect.New(reflect.TypeOf(reader))
	require.NoError(t, json.Unmarshal(raw, got.Interface(), options), "%s", raw)
	require.Empty(t, unset(got.Elem(), got.Elem().Type().Name()), "fields that a full %T does not set", body)
}

// unset returns the paths of the fields of v that are zero.
func unset(v reflect.Value, at string) (paths []string) {
	if v.IsZero() {
		return []string{at}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return unset(v.Elem(), at)
	case reflect.Slice:
		for i := range v.Len() {
			paths = append(paths, unset(v.Index(i), fmt.Sprintf("%s[%d]", at, i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("json") != "-" {
				paths = append(paths, unset(v.Field(i), at+"."+field.Name)...)
			}
		}
	}
	return paths
}

// Schema checks a type against the JSON Schema from which it is decoded: its members are
// the properties of the definition ("": of the schema itself), so that no property that a
// document may have is lost. The members in apart are decoded by code of their own.
func Schema(t *testing.T, schema []byte, definition string, of any, apart ...string) {
	t.Helper()
	type object struct {
		Properties map[string]jsontext.Value `json:"properties"`
	}
	var s struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(schema, &s))
	want := s.object
	if definition != "" {
		want = s.Defs[definition]
	}
	require.NotEmpty(t, want.Properties, definition)
	got := apart
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			got = append(got, name)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(want.Properties)), got, "members of %T", of)
}

// Covers requires that the values have all exported struct types with JSON tags of a
// package, which is in a folder.
func Covers(t *testing.T, dir string, values ...any) {
	t.Helper()
	have := map[string]bool{}
	for _, v := range values {
		have[reflect.TypeOf(v).Name()] = true
	}
	sources, err := parser.ParseDir(token.NewFileSet(), dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.SkipObjectResolution) //nolint:staticcheck // one package, without build tags
	require.NoError(t, err)
	found := 0
	for _, source := range sources {
		ast.Inspect(source, func(n ast.Node) bool {
			spec, is := n.(*ast.TypeSpec)
			if !is || !spec.Name.IsExported() || !hasTags(spec.Type) {
				return true
			}
			found++
			require.True(t, have[spec.Name.Name], "add %s to the types whose codec is tested", spec.Name.Name)
			return true
		})
	}
	require.NotZero(t, found, "types with JSON tags in %s", dir)
}

func hasTags(of ast.Expr) bool {
	s, is := of.(*ast.StructType)
	if !is {
		return false
	}
	for _, f := range s.Fields.List {
		if f.Tag != nil && strings.Contains(f.Tag.Value, `json:"`) {
			return true
		}
	}
	return false
}

// Fill sets every exported field of the value at p, at any depth, to a value that is not
// zero and that no other field has, as far as its type permits. A field with the tag
// json:"-" is left out.
func Fill(p any) { new(filler).fill(reflect.ValueOf(p).Elem()) }

// special are types whose values are not arbitrary.
var special = map[reflect.Type]func(n int) any{
	reflect.TypeFor[time.Duration](): func(n int) any { return time.Duration(n) * time.Second },
	reflect.TypeFor[jsontext.Value](): func(n int) any {
		return jsontext.Value(fmt.Sprintf(`{"raw":%d}`, n))
	},
	reflect.TypeFor[stdjson.RawMessage](): func(n int) any {
		return stdjson.RawMessage(fmt.Sprintf(`{"raw":%d}`, n))
	},
}

// enumerated is how many values every type has that is a number in Go and a word in JSON.
const enumerated = 4

type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	f.n++
	t := v.Type()
	if sample, is := special[t]; is {
		v.Set(reflect.ValueOf(sample(f.n)))
		return
	}
	if t.Kind() == reflect.Struct && t.ConvertibleTo(reflect.TypeFor[time.Time]()) {
		at := time.Date(2026, 1, 2, 3, 4, 5, f.n*1_000_001, time.UTC)
		v.Set(reflect.ValueOf(at).Convert(t))
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprintf("<%s %d>", "文", f.n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v.Addr().Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			v.SetInt(int64(f.n%enumerated + 1))
			return
		}
		v.SetInt(int64(f.n))
	case reflect.Uint8:
		v.SetUint(uint64(f.n%255 + 1))
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		for range 2 {
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			f.fill(key)
			f.fill(value)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := t.Field(i); field.IsExported() && field.Tag.Get("json") != "-" {
				f.fill(v.Field(i))
			}
		}
	default:
		panic(fmt.Sprintf("codectest: cannot fill a %s", t))
	}
}
