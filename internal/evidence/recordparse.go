package evidence

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
)

// lineParser parses a line from the front. It stops at the first fault.
type lineParser struct {
	rest []byte
	err  error
}

func (p *lineParser) record() Record {
	var r Record
	p.expect(`{"record":`)
	r.Sequence = p.sequence()
	if p.accept(`,"subjectBase64":`) {
		r.Subject = p.string64()
	} else {
		p.expect(`,"subject":`)
		r.Subject = p.string()
	}
	p.expect(`,"header":`)
	r.Header = p.headers(nil, p.string)
	if p.accept(`,"headerBase64":`) {
		r.Header = p.headers(r.Header, p.string64)
	}
	if p.accept(`,"bodyBase64":`) {
		r.Body = []byte(p.string64())
		p.expect(`}`)
		if len(p.rest) > 0 {
			p.fail("something follows the record")
		}
		return r
	}
	p.expect(`,"body":`)
	body, ok := bytes.CutSuffix(p.rest, []byte("}"))
	if !ok {
		p.fail("its end is missing")
	}
	r.Body = bytes.Clone(body) // rendering it checks that it is JSON
	return r
}

func (p *lineParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest = nil
}

func (p *lineParser) accept(token string) bool {
	if p.err != nil || len(p.rest) < len(token) || string(p.rest[:len(token)]) != token {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

func (p *lineParser) expect(token string) {
	if !p.accept(token) {
		p.fail("%s is missing", token)
	}
}

func (p *lineParser) sequence() uint64 {
	digits := 0
	for digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseUint(string(p.rest[:digits]), 10, 64)
	if err != nil || n == 0 || p.rest[0] == '0' {
		p.fail("%q is not the sequence of a record", p.rest[:min(digits, 30)])
		return 0
	}
	p.rest = p.rest[digits:]
	return n
}

// string reads a quoted text. It knows the escapes that Line writes; rendering checks
// that no other byte needed one.
func (p *lineParser) string() string {
	p.expect(`"`)
	var text []byte
	for p.err == nil {
		i := bytes.IndexAny(p.rest, `"\`)
		if i < 0 {
			p.fail("a string has no end")
			return ""
		}
		if p.rest[i] == '"' && text == nil {
			s := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return s
		}
		text = append(text, p.rest[:i]...)
		p.rest = p.rest[i:]
		if p.accept(`"`) {
			return string(text)
		}
		text = append(text, p.escaped())
	}
	return ""
}

func (p *lineParser) escaped() byte {
	for _, c := range []byte(`"\`) {
		if p.accept(`\` + string(c)) {
			return c
		}
	}
	p.expect(`\u00`)
	if len(p.rest) < 2 {
		p.fail("an escape has no end")
		return 0
	}
	c, err := strconv.ParseUint(string(p.rest[:2]), 16, 8)
	if err != nil || c >= ' ' {
		p.fail(`\u00%s is not an escape that is needed`, p.rest[:2])
		return 0
	}
	p.rest = p.rest[2:]
	return byte(c)
}

func (p *lineParser) string64() string {
	raw, err := base64.StdEncoding.Strict().DecodeString(p.string())
	if err != nil {
		p.fail("a value is not base64")
	}
	return string(raw)
}

// headers reads an object of lists into into.
func (p *lineParser) headers(into map[string][]string, text func() string) map[string][]string {
	p.expect(`{`)
	for n := 0; p.err == nil && !p.accept(`}`); n++ {
		if n > 0 {
			p.expect(`,`)
		}
		if into == nil {
			into = map[string][]string{}
		}
		name := text()
		p.expect(`:[`)
		values := []string{text()}
		for p.accept(`,`) {
			values = append(values, text())
		}
		p.expect(`]`)
		into[name] = values // a duplicate name renders differently
	}
	return into
}
