package interchange

// maxDepth is deeper than any VERIS incident nests. It bounds how much is read again
// after a broken one.
const maxDepth = 100

// nesting tracks the strings and brackets of one JSON value, to find its end without
// parsing it.
type nesting struct {
	open     []byte // the brackets that are open
	last     byte   // the last byte that is not white space
	inString bool
	escaped  bool
}

// step processes the next byte. It returns false when no JSON value can continue in this
// way: a line break in a string, or an object where none may begin. A truncated line is
// thereby detected at the beginning of the next one.
func (n *nesting) step(b byte) bool {
	switch {
	case b == '\n':
		return !n.inString
	case n.escaped:
		n.escaped = false
		return true
	case n.inString:
		n.escaped, n.inString = b == '\\', b != '"'
		return true
	case isSpace(b):
		return true
	case b == '"':
		n.inString = true
	case b == '{' || b == '[':
		if b == '{' && !n.objectMayBegin() || len(n.open) == maxDepth {
			return false
		}
		n.open = append(n.open, b)
	case (b == '}' || b == ']') && len(n.open) > 0:
		n.open = n.open[:len(n.open)-1]
	}
	n.last = b
	return true
}

func (n *nesting) objectMayBegin() bool {
	if len(n.open) == 0 {
		return true
	}
	if n.open[len(n.open)-1] == '{' {
		return n.last == ':'
	}
	return n.last == '[' || n.last == ','
}

// outside reports whether the next byte is in no string and no bracket.
func (n *nesting) outside() bool { return len(n.open) == 0 && !n.inString }

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }
