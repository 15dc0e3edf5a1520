package cloudevent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendCanonical appends the canonical form (RFC 8785, section 3.2) of a value that the
// walker has read without a fault. The result equals jcs.Transform of the text, at a
// fraction of the cost, because nothing is parsed again.
func appendCanonical(b []byte, v value) ([]byte, error) {
	var err error
	switch v.kind() {
	case jsonNull:
		b = append(b, "null"...)
	case jsonBoolean:
		b = strconv.AppendBool(b, v[0].num == 1)
	case jsonNumber:
		b, err = appendCanonicalNumber(b, v[0].num)
	case jsonString:
		b = appendCanonicalString(b, v[0].text)
	case jsonArray:
		b = append(b, '[')
		for e := range v.entries {
			if b, err = appendCanonical(b, e); err != nil {
				return b, err
			}
			b = append(b, ',')
		}
		b = closed(b, ']')
	case jsonObject:
		var few [fewNames]int
		members := few[:0] // where they begin
		for i := 1; i < len(v); i += v[i].size {
			members = append(members, i)
		}
		slices.SortFunc(members, func(i, j int) int { return compareUTF16(v[i].name, v[j].name) })
		b = append(b, '{')
		for _, i := range members {
			b = append(appendCanonicalString(b, v[i].name), ':')
			if b, err = appendCanonical(b, v[i:i+v[i].size]); err != nil {
				return b, err
			}
			b = append(b, ',')
		}
		b = closed(b, '}')
	default:
		err = errors.New("there is no value")
	}
	return b, err
}

// closed ends an array or an object whose last entry has left a comma.
func closed(b []byte, bracket byte) []byte {
	if last := len(b) - 1; b[last] == ',' {
		b[last] = bracket
		return b
	}
	return append(b, bracket)
}

// appendCanonicalNumber writes a number as ECMAScript does (section 3.2.2.3): an integer
// below 2^53 without exponent or fraction.
func appendCanonicalNumber(b []byte, n float64) ([]byte, error) {
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return strconv.AppendInt(b, int64(n), 10), nil
	}
	s, err := jcs.NumberToJSON(n)
	return append(b, s...), err
}

// compareUTF16 orders names by their UTF-16 code units (section 3.2.3), which differs
// from byte order only above U+D7FF.
func compareUTF16(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] && a[i] < utf8.RuneSelf {
			continue
		}
		if a[i] < utf8.RuneSelf && b[i] < utf8.RuneSelf {
			return int(a[i]) - int(b[i])
		}
		return slices.Compare(utf16.Encode([]rune(a[i:])), utf16.Encode([]rune(b[i:])))
	}
	return len(a) - len(b)
}

// appendCanonicalString writes a string with the escapes of section 3.2.2.2 and no
// others.
func appendCanonicalString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0 // bytes of s already in b
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[done:i]...)
		done = i + 1
		if short := strings.IndexByte("\"\\\b\f\n\r\t", c); short >= 0 {
			b = append(b, '\\', `"\bfnrt`[short])
		} else {
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(append(b, s[done:]...), '"')
}
