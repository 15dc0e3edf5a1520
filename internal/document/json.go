package document

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// ReadJSON checks a JSON object against a schema, decodes into v what obeys it, and
// returns all faults. A member that is null counts as left out. ok is false where the text
// is not a JSON object, of which nothing is decoded.
func ReadJSON(raw []byte, s *Schema, v any) (faults []fault.Detail, ok bool) {
	var f Faults
	w := Walk(raw, "$", 0, &f)
	defer w.Done()
	tree, ok := w.Read().Tree().(map[string]any)
	switch {
	case w.Broken:
		return f.Details(), false
	case !ok:
		f.Add("$", "must be a JSON object")
		return f.Details(), false
	}
	for name, member := range tree {
		if member == nil {
			delete(tree, name)
		}
	}
	rules := s.check(tree)
	for _, b := range rules {
		f.Add(pathOf("$", tree, b.at, AppendName), "%s", b.ofJSON())
	}
	if err := decode(tree, rules, v); err != nil {
		f.Add("$", "%v", err)
	}
	return f.Details(), true
}

// decode decodes into v what obeys the schema of a document.
func decode(tree any, rules []broken, v any) error {
	for _, b := range rules {
		if !b.whole {
			tree = prune(tree, b.at)
		}
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// ofJSON returns the message for a value of JSON, whose types need no quotes to tell them
// apart.
func (b broken) ofJSON() string {
	switch {
	case b.unknown && b.meant == nil:
		return "is not a known field: remove it, or correct its name"
	case b.types != nil && b.message == "":
		return "must be " + oneOfTypes(b.types) + ", not " + typeNames[b.got]
	}
	return b.message
}

var typeNames = map[string]string{
	"string": "a string", "number": "a number", "integer": "a whole number", "object": "an object",
	"array": "a list", "boolean": "true or false", "null": "null",
}

// oneOfTypes names the wanted types. An object beside a plain value is a bound. It leaves
// out null, which does not help a sender of another type.
func oneOfTypes(want []string) string {
	var words []string
	bound := false
	for _, t := range want {
		switch {
		case t == "null":
		case t == "object" && slices.ContainsFunc(want, func(t string) bool { return t != "object" && t != "null" }):
			bound = true
		default:
			words = append(words, typeNames[t])
		}
	}
	if bound {
		words = append(words, `{"atLeast": …}`)
	}
	return strings.Join(words, " or ")
}
