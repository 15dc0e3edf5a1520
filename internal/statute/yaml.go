package statute

import (
	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/fault"
)

const maxPackBytes = 1 << 20

// node is a value of a pack.
type node struct{ document.Value }

// keys maps each permitted key of a mapping to the function that reads its value.
type keys map[string]func(node)

// into reads a value into a field.
func into[T any](dst *T, read func(node) T) func(node) {
	return func(n node) { *dst = read(n) }
}

// listOf reads every item of a sequence, which must not be empty.
func listOf[T any](read func(node) T) func(node) []T {
	return func(n node) []T {
		items := n.Items()
		if n.IsList() && len(items) == 0 {
			n.fail("want a list with at least one item")
		}
		var out []T
		for _, item := range items {
			out = append(out, read(node{item}))
		}
		return out
	}
}

// oneOrMore reads a value or a sequence of them.
func oneOrMore[T any](read func(node) T) func(node) []T {
	return func(n node) []T {
		if n.IsList() {
			return listOf(read)(n)
		}
		return []T{read(n)}
	}
}

func (n node) fail(format string, args ...any) { n.Fail(format, args...) }

// fields reads a mapping: every key must be known, and the required ones must be present.
func (n node) fields(known keys, required ...string) {
	fields := make(document.Fields, len(known))
	for key, read := range known {
		fields[key] = func(v document.Value) { read(node{v}) }
	}
	n.Fields(fields, required...)
}

// at returns a path of a file, to add faults to.
func at(faults *[]fault.Detail, path string) node { return node{document.At(faults, path)} }
