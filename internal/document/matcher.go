package document

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// result is what a matcher says of a value. In this order "and" is min, "or" is max and
// "not" is the negative (Kleene's three-valued logic).
type result int8

const (
	invalid result = iota - 1
	uncertain
	valid
)

// matcher is a schema in a form that quickly finds most valid values valid, and never
// explains why not. It is made from the schema that the library has compiled, and the
// library remains the authority: a matcher whose schema has a keyword that matchers do not
// support is uncertain, and every value that is not found valid goes to the library. A nil
// matcher accepts every value.
type matcher struct {
	incomplete bool // the schema has an unsupported keyword

	types                Type   // none: any
	enum                 []Node // none: any
	minLength, maxLength int
	pattern              jsonschema.Regexp
	format               func(string) error
	minimum, maximum     float64

	minItems, maxItems int
	unique             bool
	items              *matcher

	fields   map[string]*matcher
	required []string
	closed   bool     // other fields are not allowed
	others   *matcher // the schema of other fields; nil: any

	all, some             []*matcher // allOf with $ref, anyOf
	not                   *matcher
	when, then, otherwise *matcher // if, then, else
}

// supported are the fields of a compiled schema that a matcher supports, or that do not
// restrict a value.
var supported = strings.Fields(`Types Enum Const MinLength MaxLength Pattern Format Minimum Maximum
	MinItems MaxItems UniqueItems Items2020 Properties Required AdditionalProperties Ref AllOf AnyOf Not If Then Else
	DraftVersion Location ID Anchor Title Description Default Comment ReadOnly WriteOnly Examples Deprecated`)

// matchers makes matchers, one for each schema.
type matchers struct {
	formats map[string]func(string) error
	made    map[*jsonschema.Schema]*matcher
}

func newMatchers(formats map[string]func(string) error) matchers {
	return matchers{formats, map[*jsonschema.Schema]*matcher{}}
}

func (c matchers) matcher(s *jsonschema.Schema) *matcher {
	if s == nil {
		return nil
	}
	if _, ok := c.made[s]; !ok {
		c.made[s] = &matcher{incomplete: true} // for a schema that contains itself
		c.made[s] = c.build(s)
	}
	return c.made[s]
}

func (c matchers) all(schemas []*jsonschema.Schema) (list []*matcher) {
	for _, s := range schemas {
		list = append(list, c.matcher(s))
	}
	return list
}

func (c matchers) build(s *jsonschema.Schema) *matcher {
	additional, ok := s.AdditionalProperties.(bool)
	others, _ := s.AdditionalProperties.(*jsonschema.Schema)
	out := &matcher{
		incomplete: s.DraftVersion != 2020 || s.AdditionalProperties != nil && !ok && others == nil,
		minLength:  or(s.MinLength, 0), maxLength: or(s.MaxLength, math.MaxInt), pattern: s.Pattern,
		minItems: or(s.MinItems, 0), maxItems: or(s.MaxItems, math.MaxInt), unique: s.UniqueItems, items: c.matcher(s.Items2020),
		fields: make(map[string]*matcher), required: s.Required, closed: ok && !additional, others: c.matcher(others),
		all: c.all(s.AllOf), some: c.all(s.AnyOf), not: c.matcher(s.Not),
		when: c.matcher(s.If), then: c.matcher(s.Then), otherwise: c.matcher(s.Else),
	}
	for f, v := range reflect.ValueOf(s).Elem().Fields() {
		out.incomplete = out.incomplete || f.IsExported() && !v.IsZero() && !slices.Contains(supported, f.Name)
	}
	if s.Ref != nil {
		out.all = append(out.all, c.matcher(s.Ref))
	}
	if s.Types != nil {
		for _, name := range s.Types.ToStrings() {
			out.types |= map[string]Type{
				"null": TypeNull, "boolean": TypeBoolean, "number": TypeNumber, "integer": typeInteger,
				"string": TypeString, "array": TypeArray, "object": TypeObject,
			}[name]
		}
	}
	if s.Enum != nil {
		out.oneOf(s.Enum.Values)
	}
	if s.Const != nil {
		out.oneOf([]any{*s.Const})
	}
	if s.Format != nil {
		out.format = c.formats[s.Format.Name]
		out.incomplete = out.incomplete || out.format == nil
	}
	out.minimum = out.bound(s.Minimum, math.Inf(-1))
	out.maximum = out.bound(s.Maximum, math.Inf(1))
	for name, property := range s.Properties {
		out.fields[name] = c.matcher(property)
	}
	return out
}

func or(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}

// oneOf supports enum or const, where they list scalars and no numbers.
func (p *matcher) oneOf(list []any) {
	text, err := json.Marshal(list)
	values := Walk(text, "$", 0, new(Faults)).Read()
	p.incomplete = p.incomplete || err != nil || p.enum != nil || len(values) < 2 ||
		slices.ContainsFunc(values[1:], func(n Node) bool { return n.Type&(TypeNull|TypeBoolean|TypeString) == 0 })
	p.enum = values[min(1, len(values)):]
}

// bound returns a bound of numbers. The library compares the shortest decimal form of a
// number, which rounds to the number: the order is the same when the bound itself is such
// a form.
func (p *matcher) bound(r *big.Rat, otherwise float64) float64 {
	if r == nil {
		return otherwise
	}
	f, _ := r.Float64()
	form, ok := new(big.Rat).SetString(fmt.Sprint(f))
	p.incomplete = p.incomplete || !ok || form.Cmp(r) != 0
	return f
}

func (p *matcher) match(v Value) result {
	switch {
	case p == nil:
		return valid
	case p.incomplete:
		return uncertain
	}
	n := &v[0]
	if p.types != 0 && p.types&n.types() == 0 || p.enum != nil && !slices.ContainsFunc(p.enum, n.same) {
		return invalid
	}
	out := valid
	switch n.Type {
	case TypeString:
		out = p.matchString(n.Text)
	case TypeNumber:
		if n.Num < p.minimum || n.Num > p.maximum {
			return invalid
		}
	case TypeArray:
		out = p.matchArray(v)
	case TypeObject:
		out = p.matchObject(v)
	}
	for _, part := range p.all {
		out = min(out, part.match(v))
	}
	if len(p.some) > 0 {
		some := invalid
		for _, part := range p.some {
			some = max(some, part.match(v))
		}
		out = min(out, some)
	}
	if p.not != nil {
		out = min(out, -p.not.match(v))
	}
	if p.when != nil {
		when := p.when.match(v)
		out = min(out, max(-when, p.then.match(v)), max(when, p.otherwise.match(v)))
	}
	return out
}

func (p *matcher) matchString(s string) result {
	if p.minLength > 0 || p.maxLength < len(s) {
		if length := utf8.RuneCountInString(s); length < p.minLength || length > p.maxLength {
			return invalid
		}
	}
	if p.pattern != nil && !p.pattern.MatchString(s) || p.format != nil && p.format(s) != nil {
		return invalid
	}
	return valid
}

func (p *matcher) matchArray(v Value) result {
	out, count := valid, 0
	for e := range v.Entries {
		out = min(out, p.items.match(e))
		count++
	}
	if count < p.minItems || count > p.maxItems {
		return invalid
	}
	if p.unique {
		out = min(out, distinct(v[1:]))
	}
	return out
}

// distinct compares a few strings. For other entries it is uncertain.
func distinct(list []Node) result {
	for i := range list {
		if i == fewNames || list[i].Type != TypeString {
			return uncertain
		}
		if slices.ContainsFunc(list[:i], list[i].same) {
			return invalid
		}
	}
	return valid
}

func (p *matcher) matchObject(v Value) result {
	for _, name := range p.required {
		if v.Member(name) == nil {
			return invalid
		}
	}
	out := valid
	for e := range v.Entries {
		field, ok := p.fields[e[0].Name]
		switch {
		case p.closed && !ok:
			return invalid
		case !ok:
			field = p.others
		}
		out = min(out, field.match(e))
	}
	return out
}
