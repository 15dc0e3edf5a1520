package document

import "math"

// Type is a type of JSON values, or a set of them.
type Type uint8

// The types of JSON values.
const (
	TypeNull Type = 1 << iota
	TypeBoolean
	TypeNumber
	TypeString
	TypeArray
	TypeObject
	typeInteger // in sets only: a number without a fraction
)

// Node is one value of a JSON text; the values inside it follow it.
type Node struct {
	Name string  // of a member
	Text string  // of a string
	Num  float64 // of a number; of a boolean, 1 for true
	Type Type
	size int // number of nodes, including the nested ones
}

// Value is a JSON value: its node and those of all nested values, depth first. An absent
// value has no nodes.
type Value []Node

// Type returns the type of the value, and 0 if it is absent.
func (v Value) Type() Type {
	if len(v) == 0 {
		return 0
	}
	return v[0].Type
}

// Text returns the text of a string, and "" for any other value.
func (v Value) Text() string {
	if len(v) == 0 {
		return ""
	}
	return v[0].Text
}

// types returns the set of types that the node has.
func (n *Node) types() Type {
	if n.Type == TypeNumber && n.Num == math.Trunc(n.Num) {
		return TypeNumber | typeInteger
	}
	return n.Type
}

// same reports whether two scalars are equal.
func (n *Node) same(o Node) bool { return n.Type == o.Type && n.Text == o.Text && n.Num == o.Num }

// Entries yields the members of an object or the entries of an array.
func (v Value) Entries(yield func(Value) bool) {
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

// Items yields the entries of an array, and nothing for any other value.
func (v Value) Items(yield func(int, Value) bool) {
	if v.Type() != TypeArray {
		return
	}
	i := 0
	for e := range v.Entries {
		if !yield(i, e) {
			return
		}
		i++
	}
}

// Member returns the value of an object's member.
func (v Value) Member(name string) Value {
	for e := range v.Entries {
		if e[0].Name == name {
			return e
		}
	}
	return nil
}

// count returns the number of entries.
func (v Value) count() int {
	n := 0
	for range v.Entries {
		n++
	}
	return n
}

// Tree returns the value as encoding/json decodes it into an empty interface.
func (v Value) Tree() any {
	switch v.Type() {
	case TypeBoolean:
		return v[0].Num == 1
	case TypeNumber:
		return v[0].Num
	case TypeString:
		return v[0].Text
	case TypeArray:
		list := make([]any, 0, v.count())
		for e := range v.Entries {
			list = append(list, e.Tree())
		}
		return list
	case TypeObject:
		object := make(map[string]any, v.count())
		for e := range v.Entries {
			object[e[0].Name] = e.Tree()
		}
		return object
	default:
		return nil
	}
}
