package main

import (
	"bytes"
	"io"
	"strings"
	"unicode"
)

// printable shows control and format characters (which reverse a line, or
// cannot be seen) instead of obeying them: what a record says comes from
// outside, and must not drive a terminal.
type printable struct{ out io.Writer }

func (p printable) Write(b []byte) (int, error) {
	clean := bytes.Map(func(r rune) rune {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, b)
	if _, err := p.out.Write(clean); err != nil {
		return 0, err
	}
	return len(b), nil
}

// line keeps a text from outside on one line: one that breaks it could write
// the next one.
func line(text string) string { return strings.ReplaceAll(text, "\n", " ") }
