package evidence

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Record is one record of the log as it was stored.
type Record struct {
	Sequence uint64 // from 1; the index in the tree is one less
	Subject  string
	Header   map[string][]string
	Body     []byte
}

// Entry returns the hash that the tree keeps of the record.
func (r Record) Entry() Hash { return EntryHash(r.Sequence, r.Subject, r.Header, r.Body) }

// Line renders the record as one line of JSON, without the newline at its end:
//
//	{"record":7,"subject":"…","header":{"name":["value",…],…},"body":…}
//
// A record has exactly one line, whatever program renders it: no space, names of headers
// in byte order, and in strings only the quote, the backslash and the control characters
// below U+0020 escaped. The body is copied when it is one line of JSON in UTF-8, nested
// at most 512 deep and without space around it, otherwise it is "bodyBase64". A subject
// that is not UTF-8 is "subjectBase64", and a header whose name or one of whose values is
// not is under "headerBase64", all in base64. Headers that are not part of the entry are
// left out: those that begin with "Nats-" and those without a value.
func (r Record) Line() []byte {
	line := make([]byte, 0, 256+len(r.Body)*4/3)
	line = append(line, `{"record":`...)
	line = strconv.AppendUint(line, r.Sequence, 10)
	if utf8.ValidString(r.Subject) {
		line = quote(append(line, `,"subject":`...), r.Subject)
	} else {
		line = quote64(append(line, `,"subjectBase64":`...), r.Subject)
	}
	plain, raw := r.headers()
	line = r.appendHeaders(append(line, `,"header":`...), plain, quote)
	if len(raw) > 0 {
		line = r.appendHeaders(append(line, `,"headerBase64":`...), raw, quote64)
	}
	if isLine(r.Body) {
		line = append(append(line, `,"body":`...), r.Body...)
	} else {
		line = quote64(append(line, `,"bodyBase64":`...), string(r.Body))
	}
	return append(line, '}')
}

// headers returns the sorted names of the headers that are part of the entry: those that
// are all UTF-8, and the others.
func (r Record) headers() (plain, raw []string) {
	for _, name := range Names(nil, r.Header) {
		switch values := r.Header[name]; {
		case len(values) == 0:
		case utf8.ValidString(name) && !slices.ContainsFunc(values, notText):
			plain = append(plain, name)
		default:
			raw = append(raw, name)
		}
	}
	return plain, raw
}

func notText(s string) bool { return !utf8.ValidString(s) }

func (r Record) appendHeaders(line []byte, names []string, quote func([]byte, string) []byte) []byte {
	line = append(line, '{')
	for i, name := range names {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(quote(line, name), ':')
		for j, value := range r.Header[name] {
			line = append(line, "[,"[min(j, 1)])
			line = quote(line, value)
		}
		line = append(line, ']')
	}
	return append(line, '}')
}

const hexDigits = "0123456789abcdef"

// quote does not use encoding/json, whose escapes differ between versions of Go: a line
// must be the same in ten years.
func quote(line []byte, text string) []byte {
	line = append(line, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
		case c < ' ':
			line = append(line, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			line = append(line, c)
		}
	}
	return append(line, '"')
}

func quote64(line []byte, text string) []byte {
	line = append(line, '"')
	line = base64.StdEncoding.AppendEncode(line, []byte(text))
	return append(line, '"')
}

// ParseLine accepts exactly what Line writes: the record that it returns renders as the
// same bytes. So two readers cannot understand one line differently.
func ParseLine(line []byte) (Record, error) {
	r, err := decodeLine(line)
	if err != nil {
		return Record{}, fmt.Errorf("not the line of a record: %w", err)
	}
	if r.Sequence == 0 || !bytes.Equal(r.Line(), line) {
		return Record{}, errors.New("not the line of a record: it is not written as records are")
	}
	return r, nil
}

// decodeLine decodes the JSON of a line, in any form.
func decodeLine(line []byte) (Record, error) {
	var in struct {
		Record        uint64              `json:"record"`
		Subject       string              `json:"subject"`
		SubjectBase64 []byte              `json:"subjectBase64"`
		Header        map[string][]string `json:"header"`
		HeaderBase64  map[string][][]byte `json:"headerBase64"`
		Body          jsontext.Value      `json:"body"`
		BodyBase64    []byte              `json:"bodyBase64"`
	}
	if err := json.Unmarshal(line, &in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return Record{}, err
	}
	r := Record{Sequence: in.Record, Subject: in.Subject + string(in.SubjectBase64), Body: append([]byte(in.Body), in.BodyBase64...)}
	if len(in.Header)+len(in.HeaderBase64) > 0 {
		r.Header = make(map[string][]string, len(in.Header)+len(in.HeaderBase64))
		maps.Copy(r.Header, in.Header)
	}
	for encoded, values := range in.HeaderBase64 {
		name, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return Record{}, err
		}
		for _, value := range values {
			r.Header[string(name)] = append(r.Header[string(name)], string(value))
		}
	}
	return r, nil
}

// ClaimedSequence reads the sequence at the beginning of a line, for callers that look for
// one record among many.
func ClaimedSequence(line []byte) (uint64, error) {
	rest, begins := bytes.CutPrefix(line, []byte(`{"record":`))
	digits, _, ends := bytes.Cut(rest, []byte(","))
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if !begins || !ends || err != nil {
		return 0, fmt.Errorf("%q is not the beginning of a record", line[:min(len(line), 40)])
	}
	return n, nil
}
