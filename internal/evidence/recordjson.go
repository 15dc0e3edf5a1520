package evidence

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonDepth is how deep a body may nest that is copied into a line: any reader of JSON
// supports that.
const jsonDepth = 512

// isLine reports whether a body may be copied into a line: one value of JSON (RFC 8259)
// in UTF-8, on one line, without space around it. RFC 8259 has no rule on duplicate names
// or lone surrogates.
func isLine(body []byte) bool {
	if !utf8.Valid(body) || bytes.ContainsAny(body, "\r\n") || len(bytes.TrimSpace(body)) != len(body) {
		return false
	}
	tokens := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		switch tokens.PeekKind() {
		case jsontext.KindEndObject, jsontext.KindEndArray:
		default:
			if tokens.StackDepth() > jsonDepth {
				return false
			}
		}
		if _, err := tokens.ReadToken(); err != nil {
			return false
		}
		if tokens.StackDepth() == 0 {
			return tokens.InputOffset() == int64(len(body))
		}
	}
}
