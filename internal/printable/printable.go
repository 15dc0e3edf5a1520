// Package printable makes text from outside safe to show. Characters that control a
// terminal, reverse or break a line, or are invisible are shown as escapes, such as
// \u202e, so that a title, a post or a file name cannot pose as something else. Chinese,
// emoji and the variation selectors that choose a glyph are kept.
package printable

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text makes a text printable that may have lines and tabs.
func Text(s string) string {
	if clean(s, "\n\t") {
		return s
	}
	return string(appendEscaped(make([]byte, 0, len(s)+16), s, "\n\t"))
}

// Line makes a text printable on one line, so that it cannot fake the next one. Line ends
// and tabs become spaces.
func Line(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		s = spaces.Replace(s)
	}
	if clean(s, "") {
		return s
	}
	return string(appendEscaped(make([]byte, 0, len(s)+16), s, ""))
}

var spaces = strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ")

// Truncate shortens a text to a number of characters, and marks with … that it did.
func Truncate(s string, characters int) string {
	if len(s) <= characters {
		return s
	}
	n := 0
	for i := range s {
		if n == characters {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

var shellWord = regexp.MustCompile(`^[A-Za-z0-9_./+=:@%-]+$`)

// ShellWord quotes a text as one word for a shell, where it needs that.
func ShellWord(s string) string {
	if shellWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Writer makes what is written to it printable, as Text does, and writes it to Out. Each
// Write must end at the end of a character, as those of package fmt do.
type Writer struct{ Out io.Writer }

// Write writes b with its hidden characters escaped.
func (w Writer) Write(b []byte) (int, error) {
	text := string(b)
	if !clean(text, "\n\t") {
		b = appendEscaped(make([]byte, 0, len(b)+16), text, "\n\t")
	}
	if _, err := w.Out.Write(b); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Hidden reports whether a character must be escaped: controls (C0, C1), line and
// paragraph separators, bidirectional and zero-width characters, tags, and fillers
// without a glyph.
func Hidden(r rune) bool {
	switch {
	case r < ' ', r == 0x7f:
		return true
	case r < 0x7f:
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

func clean(s, keep string) bool {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") || Hidden(r) && !strings.ContainsRune(keep, r) {
			return false
		}
	}
	return true
}

// appendEscaped escapes as JSON does where possible, so that a line of JSON remains valid
// and means the same.
func appendEscaped(b []byte, s, keep string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\ufffd<%02x>`, s[i])
		case !Hidden(r) || strings.ContainsRune(keep, r):
			b = append(b, s[i:i+n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	return b
}
