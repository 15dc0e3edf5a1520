package document

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is a JSON Schema (draft 2020-12) of one kind of document. Two of its annotations
// are used in faults: "errorMessage", which editors show too, says what a subschema
// demands; "description" of a member is added where the member is missing.
type Schema struct {
	compiled *jsonschema.Schema
	matcher  *matcher
	sources  map[string]any // by the names of the files
}

// MustCompile compiles a schema that is part of the program, with its formats and the
// schemas beside it that it refers to. It panics if the schema is not valid.
func MustCompile(files fs.FS, name string, formats map[string]func(string) error) *Schema {
	s, err := compile(files, name, formats)
	if err != nil {
		panic(fmt.Errorf("schema %s: %w", name, err))
	}
	return s
}

func compile(files fs.FS, name string, formats map[string]func(string) error) (*Schema, error) {
	names, err := fs.Glob(files, path.Join(path.Dir(name), "*.json"))
	if err != nil {
		return nil, err
	}
	c, s := newCompiler(formats), &Schema{sources: map[string]any{}}
	urls := map[string]string{}
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		source, err := jsonschema.UnmarshalJSON(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		id, _ := valueAt(source, []string{"$id"}).(string)
		urls[name], s.sources[path.Base(name)] = cmp.Or(id, name), source
		if err := c.AddResource(urls[name], source); err != nil {
			return nil, err
		}
	}
	if s.compiled, err = c.Compile(urls[name]); err != nil {
		return nil, err
	}
	s.matcher = newMatchers(formats).matcher(s.compiled)
	return s, nil
}

func newCompiler(formats map[string]func(string) error) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if text, ok := v.(string); ok {
				return check(text)
			}
			return nil
		}})
	}
	return c
}

// Check adds the faults of JSON that is at a path.
func (s *Schema) Check(f *Faults, path string, v Value) {
	if s.matcher.match(v) == valid {
		return
	}
	tree := v.Tree()
	for _, b := range s.check(tree) {
		f.Add(pathOf(path, tree, b.at, AppendName), "%s", b.ofJSON())
	}
}

// broken is one rule that a value breaks. Its location leads to the value, or to a member
// that is missing.
type broken struct {
	at      []string
	message string
	unknown bool     // the member is not in the schema
	meant   []string // of an unknown member, the one whose name differs only in case
	whole   bool     // the value is a mapping or a list whose parts may be in order
	tooLong bool     // the value is a list with too many items
	types   []string // what the value should be; nil: the message says what is wrong
	got     string   // the type that the value has instead
}

// check returns the rules that a value breaks.
func (s *Schema) check(v any) []broken {
	var e *jsonschema.ValidationError
	if !errors.As(s.compiled.Validate(v), &e) {
		return nil
	}
	rules := s.collect(nil, e)
	for _, b := range rules { // a name in the wrong case is one fault: the right name is not reported as missing
		if b.meant != nil && valueAt(v, b.meant) == nil {
			rules = slices.DeleteFunc(rules, func(o broken) bool { return slices.Equal(o.at, b.meant) })
		}
	}
	for i, b := range rules {
		rules[i].whole = b.types == nil && !b.unknown && isContainer(valueAt(v, b.at))
	}
	for _, b := range rules {
		if b.tooLong { // then its items are not listed one by one
			rules = slices.DeleteFunc(rules, func(o broken) bool { return len(o.at) > len(b.at) && slices.Equal(o.at[:len(b.at)], b.at) })
		}
	}
	return rules
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// valueAt returns the value at a location, or nil.
func valueAt(v any, location []string) any {
	for _, token := range location {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

func (s *Schema) collect(out []broken, e *jsonschema.ValidationError) []broken {
	own := s.subschema(e.SchemaURL)
	message, _ := own["errorMessage"].(string)
	add := func(message string, below ...string) {
		out = append(out, broken{at: slices.Concat(e.InstanceLocation, below), message: message})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(missing(own, name, message), name)
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			add(missing(own, name, message), name)
		}
	case *kind.AdditionalProperties:
		known := names(own)
		for _, name := range k.Properties {
			add("unknown key: want one of "+strings.Join(known, ", "), name)
			last := &out[len(out)-1]
			last.unknown = true
			if i := slices.IndexFunc(known, func(other string) bool { return strings.EqualFold(name, other) }); i >= 0 {
				last.message = fmt.Sprintf("must be written %q: names differ in their case", known[i])
				last.meant = slices.Concat(e.InstanceLocation, known[i:i+1])
			}
		}
	case *kind.Type:
		add(message)
		out[len(out)-1].types, out[len(out)-1].got = k.Want, k.Got
	case *kind.UniqueItems:
		add(fmt.Sprintf("is given twice: see entry %d", k.Duplicates[0]), strconv.Itoa(k.Duplicates[1]))
	case *kind.MaxItems:
		add(explain(k, message))
		out[len(out)-1].tooLong = true
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		add(message)
	default:
		if len(e.Causes) == 0 {
			add(explain(e.ErrorKind, message))
			break
		}
		for _, cause := range e.Causes {
			out = s.collect(out, cause)
		}
	}
	return out
}

// missing says that a member is missing, and what it is for.
func missing(own map[string]any, name, message string) string {
	if message != "" {
		return "is required: " + message
	}
	properties, _ := own["properties"].(map[string]any)
	property, _ := properties[name].(map[string]any)
	if text, ok := property["description"].(string); ok {
		return "is required: " + text
	}
	return "is required"
}

func names(own map[string]any) []string {
	properties, _ := own["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// subschema returns the part of the schema at a location.
func (s *Schema) subschema(location string) map[string]any {
	file, pointer, _ := strings.Cut(location, "#")
	if plain, err := url.PathUnescape(pointer); err == nil {
		pointer = plain
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	var tokens []string
	for _, token := range strings.Split(pointer, "/")[1:] {
		tokens = append(tokens, unescape.Replace(token))
	}
	own, _ := valueAt(s.sources[path.Base(file)], tokens).(map[string]any)
	return own
}

// explain says what a rule demands, in the words of the schema where it has any.
func explain(k jsonschema.ErrorKind, message string) string {
	switch k := k.(type) {
	case *kind.Enum:
		return got(cmp.Or(message, "must be one of "+values(k.Want)), k.Got)
	case *kind.Const:
		return got(cmp.Or(message, "must be "+values([]any{k.Want})), k.Got)
	case *kind.Pattern:
		return got(cmp.Or(message, "must match "+k.Want), k.Got)
	case *kind.Format:
		return k.Err.Error()
	case *kind.MinLength:
		if k.Got == 0 {
			return cmp.Or(message, "must not be empty")
		}
		return cmp.Or(message, fmt.Sprintf("must have at least %d characters", k.Want))
	case *kind.MaxLength:
		return cmp.Or(message, fmt.Sprintf("must have at most %d characters, not %d", k.Want, k.Got))
	case *kind.MinItems:
		if k.Want == 1 {
			return cmp.Or(message, "must have at least one item")
		}
		return cmp.Or(message, fmt.Sprintf("must have at least %d items, not %d", k.Want, k.Got))
	case *kind.MaxItems:
		return cmp.Or(message, fmt.Sprintf("must have at most %d items, not %d", k.Want, k.Got))
	case *kind.Minimum:
		return cmp.Or(message, "must be at least "+decimalOf(k.Want))
	case *kind.Maximum:
		return cmp.Or(message, "must be at most "+decimalOf(k.Want))
	case *kind.ExclusiveMinimum:
		return cmp.Or(message, "must be above "+decimalOf(k.Want))
	case *kind.ExclusiveMaximum:
		return cmp.Or(message, "must be below "+decimalOf(k.Want))
	}
	return cmp.Or(message, fmt.Sprintf("breaks the rule %s of its schema", strings.Join(k.KeywordPath(), "/")))
}

// maxShown is up to how many bytes of a value a message repeats.
const maxShown = 100

// got adds a scalar value to a message.
func got(message string, v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > maxShown {
			return message
		}
		return fmt.Sprintf("%s, got %q", message, v)
	case json.Number, float64, bool:
		return fmt.Sprintf("%s, got %v", message, v)
	}
	return message
}

func values(list []any) string {
	var out []string
	for _, v := range list {
		if v != nil {
			out = append(out, fmt.Sprint(v))
		}
	}
	return strings.Join(out, ", ")
}

func decimalOf(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}
