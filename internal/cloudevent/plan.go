package cloudevent

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

// verdict is a plan's result for a value. In this order "and" is min, "or" is max and
// "not" is the negative (Kleene's three-valued logic).
type verdict int8

const (
	invalid verdict = iota - 1
	unsure
	valid
)

// plan is a schema in a form that quickly finds most valid values valid, and never
// explains why not. It is made from the schema that the library has compiled, and the
// library remains the authority: a plan whose schema has a keyword that plans do not
// support is unsure, and every value that is not found valid goes to the library. A nil
// plan accepts every value.
type plan struct {
	unknown bool // the schema has an unsupported keyword

	types                jsonType // none: any
	enum                 []node   // none: any
	minLength, maxLength int
	pattern              jsonschema.Regexp
	format               func(string) error
	minimum, maximum     float64

	minItems, maxItems int
	unique             bool
	items              *plan

	fields   map[string]*plan
	required []string
	closed   bool // other fields are not allowed

	all, some             []*plan // allOf with $ref, anyOf
	not                   *plan
	when, then, otherwise *plan // if, then, else
}

// followed are the fields of a compiled schema that a plan supports, or that do not
// restrict a value.
var followed = strings.Fields(`Types Enum Const MinLength MaxLength Pattern Format Minimum Maximum
	MinItems MaxItems UniqueItems Items2020 Properties Required AdditionalProperties Ref AllOf AnyOf Not If Then Else
	DraftVersion Location ID Anchor Title Description Default Comment ReadOnly WriteOnly Examples Deprecated`)

// planner makes plans, one for each schema.
type planner map[*jsonschema.Schema]*plan

func (p planner) plan(s *jsonschema.Schema) *plan {
	if s == nil {
		return nil
	}
	if _, ok := p[s]; !ok {
		p[s] = &plan{unknown: true} // for a schema that contains itself
		p[s] = p.follow(s)
	}
	return p[s]
}

func (p planner) plans(list []*jsonschema.Schema) (plans []*plan) {
	for _, s := range list {
		plans = append(plans, p.plan(s))
	}
	return plans
}

func (p planner) follow(s *jsonschema.Schema) *plan {
	additional, ok := s.AdditionalProperties.(bool)
	out := &plan{
		unknown:   s.DraftVersion != 2020 || s.AdditionalProperties != nil && !ok,
		minLength: or(s.MinLength, 0), maxLength: or(s.MaxLength, math.MaxInt), pattern: s.Pattern,
		minItems: or(s.MinItems, 0), maxItems: or(s.MaxItems, math.MaxInt), unique: s.UniqueItems, items: p.plan(s.Items2020),
		fields: make(map[string]*plan), required: s.Required, closed: ok && !additional,
		all: p.plans(s.AllOf), some: p.plans(s.AnyOf), not: p.plan(s.Not),
		when: p.plan(s.If), then: p.plan(s.Then), otherwise: p.plan(s.Else),
	}
	for f, v := range reflect.ValueOf(s).Elem().Fields() {
		out.unknown = out.unknown || f.IsExported() && !v.IsZero() && !slices.Contains(followed, f.Name)
	}
	if s.Ref != nil {
		out.all = append(out.all, p.plan(s.Ref))
	}
	if s.Types != nil {
		for _, name := range s.Types.ToStrings() {
			out.types |= map[string]jsonType{
				"null": jsonNull, "boolean": jsonBoolean, "number": jsonNumber, "integer": jsonInteger,
				"string": jsonString, "array": jsonArray, "object": jsonObject,
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
		out.format = formats[s.Format.Name]
		out.unknown = out.unknown || out.format == nil
	}
	out.minimum = out.bound(s.Minimum, math.Inf(-1))
	out.maximum = out.bound(s.Maximum, math.Inf(1))
	for name, property := range s.Properties {
		out.fields[name] = p.plan(property)
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
func (p *plan) oneOf(list []any) {
	text, err := json.Marshal(list)
	values := walk(text, "$", 0, new(faults)).document()
	p.unknown = p.unknown || err != nil || p.enum != nil || len(values) < 2 ||
		slices.ContainsFunc(values[1:], func(n node) bool { return n.kind&(jsonNull|jsonBoolean|jsonString) == 0 })
	p.enum = values[min(1, len(values)):]
}

// bound returns a bound of numbers. The library compares the shortest decimal form of a
// number, which rounds to the number: the order is the same when the bound itself is such
// a form.
func (p *plan) bound(r *big.Rat, otherwise float64) float64 {
	if r == nil {
		return otherwise
	}
	f, _ := r.Float64()
	form, ok := new(big.Rat).SetString(fmt.Sprint(f))
	p.unknown = p.unknown || !ok || form.Cmp(r) != 0
	return f
}

func (p *plan) judge(v value) verdict {
	switch {
	case p == nil:
		return valid
	case p.unknown:
		return unsure
	}
	n := &v[0]
	if p.types != 0 && p.types&n.types() == 0 || p.enum != nil && !slices.ContainsFunc(p.enum, n.same) {
		return invalid
	}
	out := valid
	switch n.kind {
	case jsonString:
		out = p.judgeString(n.text)
	case jsonNumber:
		if n.num < p.minimum || n.num > p.maximum {
			return invalid
		}
	case jsonArray:
		out = p.judgeArray(v)
	case jsonObject:
		out = p.judgeObject(v)
	}
	for _, part := range p.all {
		out = min(out, part.judge(v))
	}
	if len(p.some) > 0 {
		some := invalid
		for _, part := range p.some {
			some = max(some, part.judge(v))
		}
		out = min(out, some)
	}
	if p.not != nil {
		out = min(out, -p.not.judge(v))
	}
	if p.when != nil {
		when := p.when.judge(v)
		out = min(out, max(-when, p.then.judge(v)), max(when, p.otherwise.judge(v)))
	}
	return out
}

func (p *plan) judgeString(s string) verdict {
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

func (p *plan) judgeArray(v value) verdict {
	out, count := valid, 0
	for e := range v.entries {
		out = min(out, p.items.judge(e))
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

// distinct judges a few strings. For other entries it is unsure.
func distinct(list []node) verdict {
	for i := range list {
		if i == fewNames || list[i].kind != jsonString {
			return unsure
		}
		if slices.ContainsFunc(list[:i], list[i].same) {
			return invalid
		}
	}
	return valid
}

func (p *plan) judgeObject(v value) verdict {
	for _, name := range p.required {
		if v.member(name) == nil {
			return invalid
		}
	}
	out := valid
	for e := range v.entries {
		field, ok := p.fields[e[0].name]
		if p.closed && !ok {
			return invalid
		}
		out = min(out, field.judge(e))
	}
	return out
}
