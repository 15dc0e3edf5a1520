package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// maxNameRunes is how much of one member name a path repeats. Known names are shorter; an
// unknown one may fill the whole event.
const maxNameRunes = 80

// step is one step of a path: a member's name, or an index where named is false.
type step struct {
	name  string
	index int
	named bool
}

// AppendName appends a step to a member: .name where RFC 9535 section 2.5.1 allows the
// shorthand, otherwise ['name'].
func AppendName(path, name string) string {
	name = printable.Truncate(name, maxNameRunes)
	if isShorthand(name) {
		return path + "." + name
	}
	var b strings.Builder
	b.WriteString(path + "['")
	for _, r := range name {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("']")
	return b.String()
}

// AppendIndex appends a step to an entry of a list.
func AppendIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func joinPath(root string, steps []step) string {
	for _, s := range steps {
		if s.named {
			root = AppendName(root, s.name)
		} else {
			root = AppendIndex(root, s.index)
		}
	}
	return root
}

func isShorthand(name string) bool {
	for i, r := range name {
		switch {
		case r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
		case r >= 0x80 && unicode.IsPrint(r):
		case i > 0 && '0' <= r && r <= '9':
		default:
			return false
		}
	}
	return name != ""
}
