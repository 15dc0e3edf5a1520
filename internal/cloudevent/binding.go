package cloudevent

import (
	"bytes"
	"cmp"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/document"
)

const (
	headerContentType = "Content-Type"
	headerPrefix      = "ce-"
	opBinding         = "event: binding"
)

// mode is how a message carries its event.
type mode int

const (
	modeStructured mode = iota
	modeBatch
	modeBinary
	modeUnknown // CloudEvents in a format that we do not read
)

// modeOf returns the content mode by the media type: structured and batch begin with
// application/cloudevents, compared without regard to case. JSON is the only event format
// that is read.
func modeOf(contentType string) mode {
	if contentType == "application/cloudevents+json" { // as nearly every sender writes it
		return modeStructured
	}
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		t, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		t = strings.TrimSpace(t)
	}
	switch {
	case t == "application/cloudevents", t == "application/cloudevents+json":
		return modeStructured
	case t == "application/cloudevents-batch+json":
		return modeBatch
	case strings.HasPrefix(t, "application/cloudevents"):
		return modeUnknown
	default:
		return modeBinary
	}
}

// FromNATS reads a report from a NATS message in either content mode, by the NATS
// protocol binding of CloudEvents (1.0.3-wip, section 3): structured when Content-Type
// begins with application/cloudevents, otherwise binary with every attribute in a ce-
// header. A message with neither Content-Type nor ce- headers is structured, as version
// 1.0.2 defines it for servers without headers. nats.Header can be passed as it is.
//
// Errors are those of Parse.
func FromNATS(h map[string][]string, payload []byte) (*Event, error) {
	var f document.Faults
	contentType, ce := splitHeader(h, &f)
	if f.Any() {
		return nil, f.Err(opBinding)
	}
	if contentType == "" && len(ce) == 0 {
		return Parse(payload)
	}
	switch modeOf(contentType) {
	case modeStructured:
		return Parse(payload)
	case modeBinary:
		if len(ce) == 0 {
			f.Add("$", "has no ce- headers: send Content-Type application/cloudevents+json, or the attributes as ce- headers")
			return nil, f.Err(opBinding)
		}
		env := binaryEnvelope(&f, ce, payload)
		if env == nil {
			return nil, f.Err(opBinding)
		}
		// Senders that follow the HTTP binding put the media type of the data here.
		if _, ok := env.attributes["datacontenttype"]; !ok && contentType != "" {
			env.attributes["datacontenttype"] = contentType
		}
		return env.binaryEvent(&f)
	default:
		f.Add("$", "has the Content-Type %s: NATS carries application/cloudevents+json, or ce- headers", strconv.Quote(contentType))
		return nil, f.Err(opBinding)
	}
}

// attribute is one ce- header as received.
type attribute struct{ name, header, value string }

// splitHeader returns Content-Type and the ce- headers, matched without regard to case
// and sorted by name.
func splitHeader(h map[string][]string, f *document.Faults) (contentType string, ce []attribute) {
	for header, values := range h {
		name, isCE := "", len(header) >= len(headerPrefix) && strings.EqualFold(header[:len(headerPrefix)], headerPrefix)
		if isCE {
			name = strings.ToLower(header[len(headerPrefix):])
		}
		for _, v := range values {
			switch {
			case isCE:
				ce = append(ce, attribute{name, header, v})
			case !strings.EqualFold(header, headerContentType):
			case contentType != "" && contentType != v:
				f.Add("$", "has two different Content-Type headers")
			default:
				contentType = v
			}
		}
	}
	slices.SortFunc(ce, func(a, b attribute) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	return contentType, ce
}

// binaryEnvelope reads a message in binary mode. It returns nil when the message is too
// large.
func binaryEnvelope(f *document.Faults, ce []attribute, payload []byte) *envelope {
	size := len(payload)
	for _, a := range ce {
		size += len(a.header) + len(a.value)
	}
	if size > MaxBytes {
		f.Add("$", "has %d bytes with its ce- headers: at most %d are taken", size, MaxBytes)
		return nil
	}
	env := &envelope{attributes: make(map[string]string, len(ce)+1)}
	for i, a := range ce {
		if i > 0 && ce[i-1].name == a.name {
			f.Add(document.AppendName("$", a.name), "is given twice, by headers %s and %s", ce[i-1].header, a.header)
			continue
		}
		v, problem := percentDecode(unquote(strings.Trim(a.value, " \t")))
		if problem != "" {
			f.Add(document.AppendName("$", a.name), "%s", problem)
			env.named = append(env.named, a.name)
			continue
		}
		env.attributes[a.name] = v
	}
	if len(payload) > 0 {
		env.readData(f, "$.data", bytes.Clone(payload))
	}
	return env
}

// binaryEvent checks the envelope and renders the event for the record.
func (e *envelope) binaryEvent(f *document.Faults) (*Event, error) {
	if !f.Any() {
		if e.raw = e.structured(); len(e.raw) > MaxBytes {
			f.Add("$", "has %d bytes in structured form: at most %d are taken", len(e.raw), MaxBytes)
		}
	}
	for name, text := range e.attributes {
		e.given = append(e.given, document.Node{Name: name, Text: text, Type: document.TypeString})
	}
	return e.event(f)
}

// structured renders the envelope in the JSON event format: the core attributes, the
// extensions by name, and the data as sent.
func (e *envelope) structured() []byte {
	names := slices.Clone(coreAttributes)
	for name := range e.attributes {
		if !slices.Contains(coreAttributes, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[len(coreAttributes):])
	raw := append(make([]byte, 0, len(e.data)+1024), '{')
	for _, name := range names {
		if v, ok := e.attributes[name]; ok {
			raw = appendQuoted(raw, name)
			raw = append(appendQuoted(append(raw, ':'), v), ',')
		}
	}
	raw = append(append(raw, `"data":`...), e.data...)
	return append(raw, '}')
}

// appendQuoted appends a text as JSON. It was checked to be UTF-8.
func appendQuoted(out []byte, text string) []byte {
	out, _ = jsontext.AppendQuote(out, text)
	return out
}

// isPlain reports whether s is printable ASCII without quotes and backslashes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7F || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// percentDecode decodes a header value by section 3.1.3.2 of the HTTP binding: %XY is a
// byte of UTF-8. It also accepts characters that should have been encoded, as long as they
// are ASCII: the encoding of other bytes is not known.
func percentDecode(s string) (value, problem string) {
	if isPlain(s) && strings.IndexByte(s, '%') < 0 {
		return s, ""
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return "", "has bytes outside ASCII in its header: percent-encode them as UTF-8"
	}
	value, err := url.PathUnescape(s)
	switch {
	case err != nil:
		return "", "has a % in its header that two hexadecimal digits do not follow"
	case !utf8.ValidString(value):
		return "", "is not valid UTF-8 behind its percent-encoding"
	}
	return value, ""
}

// unquote reads a quoted-string (RFC 7230, section 3.2.6), which older senders write.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}
