package cloudevent

import "math"

// jsonType is a type of JSON values, or a set of them.
type jsonType uint8

const (
	jsonNull jsonType = 1 << iota
	jsonBoolean
	jsonNumber
	jsonString
	jsonArray
	jsonObject
	jsonInteger // in sets only: a number without a fraction
)

// node is one value of a JSON text; the values inside it follow it.
type node struct {
	name string  // of a member
	text string  // of a string
	num  float64 // of a number; of a boolean, 1 for true
	size int     // number of nodes, including the nested ones
	kind jsonType
}

// value is a JSON value: its node and those of all nested values, depth first. An absent
// value has no nodes.
type value []node

func (v value) kind() jsonType {
	if len(v) == 0 {
		return 0
	}
	return v[0].kind
}

// str returns the text of a string, and "" for any other value.
func (v value) str() string {
	if len(v) == 0 {
		return ""
	}
	return v[0].text
}

// types returns the set of types that the node has.
func (n *node) types() jsonType {
	if n.kind == jsonNumber && n.num == math.Trunc(n.num) {
		return jsonNumber | jsonInteger
	}
	return n.kind
}

// same reports whether two scalars are equal.
func (n *node) same(o node) bool { return n.kind == o.kind && n.text == o.text && n.num == o.num }

// entries yields the members of an object or the entries of an array.
func (v value) entries(yield func(value) bool) {
	if len(v) == 0 {
		return
	}
	for rest := v[1:]; len(rest) > 0; {
		size := rest[0].size
		if !yield(rest[:size:size]) {
			return
		}
		rest = rest[size:]
	}
}

// items yields the entries of an array, and nothing for any other value.
func (v value) items(yield func(int, value) bool) {
	if v.kind() != jsonArray {
		return
	}
	i := 0
	for e := range v.entries {
		if !yield(i, e) {
			return
		}
		i++
	}
}

// member returns the value of an object's member.
func (v value) member(name string) value {
	for e := range v.entries {
		if e[0].name == name {
			return e
		}
	}
	return nil
}

// count returns the number of entries.
func (v value) count() int {
	n := 0
	for range v.entries {
		n++
	}
	return n
}

// tree returns the value as encoding/json decodes it into an empty interface.
func (v value) tree() any {
	switch v.kind() {
	case jsonBoolean:
		return v[0].num == 1
	case jsonNumber:
		return v[0].num
	case jsonString:
		return v[0].text
	case jsonArray:
		list := make([]any, 0, v.count())
		for e := range v.entries {
			list = append(list, e.tree())
		}
		return list
	case jsonObject:
		object := make(map[string]any, v.count())
		for e := range v.entries {
			object[e[0].name] = e.tree()
		}
		return object
	default:
		return nil
	}
}
