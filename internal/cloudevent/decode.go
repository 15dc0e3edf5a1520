package cloudevent

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// MaxBytes is the maximum size of one event in structured form, and in binary form
// of its payload together with its ce- headers.
const MaxBytes = 256 << 10

// Event is a report as a CloudEvent 1.0 that has passed every check. Its slices share no
// memory with the input.
type Event struct {
	ID, Source, Type string
	Subject          string         // the incident
	Time             time.Time      // UTC; zero when absent
	Data             jsontext.Value // the report's data, exactly as sent
	Digest           string         // SHA-256, hexadecimal, of the data in canonical form (RFC 8785)
	Report           event.Report   // the data, read
	Raw              jsontext.Value // the event in structured JSON form, as recorded
	Warnings         []fault.Detail // values that were read otherwise than written
}

const (
	opParse = "event: parse"
	space   = " \t\r\n" // RFC 8259, section 2; bytes.TrimSpace takes more
)

// Parse reads one CloudEvent in structured mode (CloudEvents 1.0.2, JSON event
// format), more strictly than the SDK: it refuses input that two readers could understand
// differently. Its error is of kind fault.Reject and carries every fault at once, with
// the path from the event's root.
func Parse(raw []byte) (*Event, error) {
	var f faults
	if len(raw) > MaxBytes {
		f.add("$", "has %d bytes: at most %d are taken", len(raw), MaxBytes)
		return nil, f.err(opParse)
	}
	raw = bytes.Clone(trim(raw))
	if isUTF16(raw) {
		f.add("$", utf16Message)
		return nil, f.err(opParse)
	}
	w := walk(raw, "$", 0, &f)
	defer w.done()
	root := w.document()
	if w.broken {
		return nil, f.err(opParse)
	}
	if root.kind() != jsonObject {
		f.add("$", "must be a JSON object")
		return nil, f.err(opParse)
	}
	env := envelope{raw: raw, given: w.attributes[:0]}
	var plain, encoded member
	for _, m := range w.members {
		switch v := w.of(m); v[0].name {
		case "data":
			plain = m
			env.data, env.tree, env.hasData = raw[m.start:m.end:m.end], v, true
		case "data_base64":
			encoded = m
		default:
			env.given = append(env.given, v[0])
		}
	}
	w.attributes = env.given
	if encoded.end > 0 {
		env.decodeBase64(&f, plain, encoded, w.of(encoded))
	}
	return env.event(&f)
}

// trim removes the byte order mark that some programs put before UTF-8, and the white
// space around a JSON text. Only one mark is removed.
func trim(raw []byte) []byte {
	return bytes.Trim(bytes.TrimPrefix(raw, []byte("\uFEFF")), space)
}

const utf16Message = "is UTF-16: JSON is sent as UTF-8 (RFC 8259, section 8.1)"

// isUTF16 reports whether a text is UTF-16, with a byte order mark or without. JSON
// begins with an ASCII character and has no zero byte.
func isUTF16(text []byte) bool {
	return len(text) > 1 && (text[0] == 0xff && text[1] == 0xfe || text[0] == 0xfe && text[1] == 0xff || (text[0] == 0) != (text[1] == 0))
}

// envelope is an event that has been split into its parts and not yet checked.
type envelope struct {
	attributes map[string]string // in binary mode, before given is filled
	given      []node            // the attributes, each without its nested values
	data       []byte            // as sent; nil when broken
	tree       value             // data, read
	hasData    bool              // data was given, even if broken
	raw        []byte
	inner      *walker  // of data that came as bytes of its own
	named      []string // attributes, and data, that a fault already names
}

// decodeBase64 takes the data from data_base64 (JSON event format, section 3.1.1) and
// puts it into raw as data, so that the record is readable. A null counts as a member
// that is not set, so data may be null beside it.
func (e *envelope) decodeBase64(f *faults, plain, m member, v value) {
	const path = "$.data_base64"
	if v.kind() == jsonNull {
		return
	}
	if e.hasData && e.tree.kind() != jsonNull {
		f.add(path, "must not be given together with data")
		return
	}
	besideNull := e.hasData
	e.hasData = true
	if v.kind() != jsonString {
		f.add(path, "must be a string")
		return
	}
	text := v.str()
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		f.add(path, "is not base64 (RFC 4648, section 4)")
		return
	}
	if !e.readData(f, path, data) {
		return
	}
	raw := e.raw
	switch {
	case !besideNull:
		e.raw = bytes.Join([][]byte{raw[:m.begin], []byte(`"data":`), e.data, raw[m.end:]}, nil)
	case plain.start < m.start:
		e.raw = bytes.Join([][]byte{raw[:plain.start], e.data, raw[plain.end:m.start], []byte("null"), raw[m.end:]}, nil)
	default:
		e.raw = bytes.Join([][]byte{raw[:m.start], []byte("null"), raw[m.end:plain.start], e.data, raw[plain.end:]}, nil)
	}
}

// readData reads data that came as bytes of its own. Where it is not JSON at all, the
// fault names its origin.
func (e *envelope) readData(f *faults, origin string, data []byte) bool {
	data = trim(data)
	if isUTF16(data) {
		f.add(origin, utf16Message)
		e.hasData = true
		return false
	}
	var inner faults
	w := walk(data, "$.data", 1, &inner)
	e.inner = w
	tree := w.document()
	for _, d := range inner.list {
		if w.broken {
			d.Path = origin
		}
		f.add(d.Path, "%s", d.Message)
	}
	f.missed += inner.missed
	e.hasData = true
	if w.broken {
		return false
	}
	e.data, e.tree = data, tree
	return true
}

// event checks the envelope and its contents.
func (e *envelope) event(f *faults) (*Event, error) {
	defer e.inner.done()
	ev := e.checkAttributes(f)
	switch {
	case !e.hasData && !slices.Contains(e.named, "data"):
		f.add("$.data", "is required")
	case e.data != nil && ev.Type != "":
		checkData(f, "$.data", ev.Type, e.tree)
	}
	if err := f.err(opParse); err != nil {
		return nil, err
	}
	var err error
	if ev.Digest, err = evidence.CanonicalDigest(e.data); err != nil {
		f.add("$.data", "has no digest: %v", err)
		return nil, f.err(opParse)
	}
	if ev.Report, err = event.ParseReport(e.data); err != nil {
		return nil, fault.New(fault.Reject, opParse, "data that passed its schema cannot be read: %w", err)
	}
	ev.Warnings = warnOfTimes(ev.Warnings, "$.data", e.tree)
	ev.Data, ev.Raw = e.data, e.raw
	return ev, nil
}

// Accepted returns the body of the record of an operator's report, once it is accepted.
func (e *Event) Accepted(operator string, at time.Time) *event.Accepted {
	a := &event.Accepted{
		Operator: operator, Incident: e.Subject, Report: e.ID, Source: e.Source, Type: e.Type,
		ReceivedAt: at, Digest: e.Digest, Event: e.Raw, Parsed: &e.Report,
	}
	if !e.Time.IsZero() {
		sent := e.Time // a copy, because revisions keep the time and need not keep the event
		a.SentAt = &sent
	}
	return a
}
