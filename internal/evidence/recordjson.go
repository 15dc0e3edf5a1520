package evidence

import (
	"strings"
	"unicode/utf8"
)

// jsonDepth is how deep a body may nest that is copied into a line: any reader of JSON
// supports that.
const jsonDepth = 512

// isLine reports whether a body may be copied into a line: one value of JSON (RFC 8259)
// in UTF-8, on one line, without space around it. It does not use encoding/json, since
// the form of a line must be the same in ten years, and this is the most expensive part
// of reading one.
func isLine(body []byte) bool {
	return skipValue(body, 0, 0) == len(body) && utf8.Valid(body)
}

// The functions below return the index after what they skip, or notJSON if it is missing;
// they accept notJSON as an index, too.
const notJSON = -1

func skipValue(b []byte, i, depth int) int {
	if i < 0 || i >= len(b) || depth > jsonDepth {
		return notJSON
	}
	switch b[i] {
	case '{':
		return skipList(b, i+1, '}', func(i int) int {
			i = skipSpace(b, skipString(b, i))
			return skipValue(b, skipSpace(b, skipToken(b, i, ":")), depth+1)
		})
	case '[':
		return skipList(b, i+1, ']', func(i int) int { return skipValue(b, i, depth+1) })
	case '"':
		return skipString(b, i)
	case 't':
		return skipToken(b, i, "true")
	case 'f':
		return skipToken(b, i, "false")
	case 'n':
		return skipToken(b, i, "null")
	}
	return skipNumber(b, i)
}

// skipList skips members between commas, and the end.
func skipList(b []byte, i int, end byte, member func(i int) int) int {
	if i = skipSpace(b, i); i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		i = skipSpace(b, member(i))
		switch {
		case i < 0 || i >= len(b):
			return notJSON
		case b[i] == end:
			return i + 1
		case b[i] != ',':
			return notJSON
		}
		i = skipSpace(b, i+1)
	}
}

func skipSpace(b []byte, i int) int {
	for i >= 0 && i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

func skipToken(b []byte, i int, token string) int {
	if i < 0 || len(b)-i < len(token) || string(b[i:i+len(token)]) != token {
		return notJSON
	}
	return i + len(token)
}

func skipString(b []byte, i int) int {
	if i = skipToken(b, i, `"`); i < 0 {
		return notJSON
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return notJSON
		case c != '\\':
		case i+5 < len(b) && b[i+1] == 'u' && isHexDigits(b[i+2:i+6]):
			i += 5
		case i+1 < len(b) && strings.IndexByte(`"\/bfnrt`, b[i+1]) >= 0:
			i++
		default:
			return notJSON
		}
	}
	return notJSON
}

func isHexDigits(b []byte) bool {
	for _, c := range b {
		if letter := c | 0x20; !isDigit(c) && (letter < 'a' || letter > 'f') {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = skipDigits(b, i); i < 0 {
		return notJSON
	}
	if i < len(b) && b[i] == '.' {
		if i = skipDigits(b, i+1); i < 0 {
			return notJSON
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i
}

// skipDigits skips one or more.
func skipDigits(b []byte, i int) int {
	from := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == from {
		return notJSON
	}
	return i
}
