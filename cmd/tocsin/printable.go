package main

import (
	"bytes"
	"io"
	"strings"
	"unicode"
)

// printable shows control and format characters (which reverse a line, or
// cannot be seen) instead of obeying them: titles and posts come from outside,
// and must not drive a desk's terminal.
type printable struct{ out io.Writer }

func (p printable) Write(b []byte) (int, error) {
	clean := bytes.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, b)
	if _, err := p.out.Write(clean); err != nil {
		return 0, err
	}
	return len(b), nil
}

// line keeps a text from outside on one line: a title that breaks it could
// write the next one.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Zl, unicode.Zp) || unicode.IsControl(r) && unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, text)
}
