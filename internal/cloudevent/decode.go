package cloudevent

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/document"
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

const opParse = "event: parse"

// Parse reads one CloudEvent in structured mode (CloudEvents 1.0.2, JSON event
// format), more strictly than the SDK: it refuses input that two readers could understand
// differently. Its error is of kind fault.Reject and carries every fault at once, with
// the path from the event's root.
func Parse(raw []byte) (*Event, error) {
	var f document.Faults
	if len(raw) > MaxBytes {
		f.Add("$", "has %d bytes: at most %d are taken", len(raw), MaxBytes)
		return nil, f.Err(opParse)
	}
	raw = bytes.Clone(trim(raw))
	if document.IsUTF16(raw) {
		f.Add("$", utf16Message)
		return nil, f.Err(opParse)
	}
	w := document.Walk(raw, "$", 0, &f)
	defer w.Done()
	root := w.Read()
	if w.Broken {
		return nil, f.Err(opParse)
	}
	if root.Type() != document.TypeObject {
		f.Add("$", "must be a JSON object")
		return nil, f.Err(opParse)
	}
	env := envelope{raw: raw, given: make([]document.Node, 0, len(w.Members))}
	var plain, encoded document.Member
	for _, m := range w.Members {
		switch v := w.Of(m); v[0].Name {
		case "data":
			plain = m
			env.data, env.tree, env.hasData = raw[m.Start:m.End:m.End], v, true
		case "data_base64":
			encoded = m
		default:
			env.given = append(env.given, v[0])
		}
	}
	if encoded.End > 0 {
		env.decodeBase64(&f, plain, encoded, w.Of(encoded))
	}
	return env.event(&f)
}

// trim removes the byte order mark that some programs put before UTF-8, and the white
// space around a JSON text. Only one mark is removed.
func trim(raw []byte) []byte {
	return bytes.Trim(bytes.TrimPrefix(raw, []byte("\uFEFF")), document.Space)
}

const utf16Message = "is UTF-16: JSON is sent as UTF-8 (RFC 8259, section 8.1)"

// envelope is an event that has been split into its parts and not yet checked.
type envelope struct {
	attributes map[string]string // in binary mode, before given is filled
	given      []document.Node   // the attributes, each without its nested values
	data       []byte            // as sent; nil when broken
	tree       document.Value    // data, read
	hasData    bool              // data was given, even if broken
	raw        []byte
	inner      *document.Walker // of data that came as bytes of its own
	named      []string         // attributes, and data, that a fault already names
}

// decodeBase64 takes the data from data_base64 (JSON event format, section 3.1.1) and
// puts it into raw as data, so that the record is readable. A null counts as a member
// that is not set, so data may be null beside it.
func (e *envelope) decodeBase64(f *document.Faults, plain, m document.Member, v document.Value) {
	const path = "$.data_base64"
	if v.Type() == document.TypeNull {
		return
	}
	if e.hasData && e.tree.Type() != document.TypeNull {
		f.Add(path, "must not be given together with data")
		return
	}
	besideNull := e.hasData
	e.hasData = true
	if v.Type() != document.TypeString {
		f.Add(path, "must be a string")
		return
	}
	text := v.Text()
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		f.Add(path, "is not base64 (RFC 4648, section 4)")
		return
	}
	if !e.readData(f, path, data) {
		return
	}
	raw := e.raw
	switch {
	case !besideNull:
		e.raw = bytes.Join([][]byte{raw[:m.Begin], []byte(`"data":`), e.data, raw[m.End:]}, nil)
	case plain.Start < m.Start:
		e.raw = bytes.Join([][]byte{raw[:plain.Start], e.data, raw[plain.End:m.Start], []byte("null"), raw[m.End:]}, nil)
	default:
		e.raw = bytes.Join([][]byte{raw[:m.Start], []byte("null"), raw[m.End:plain.Start], e.data, raw[plain.End:]}, nil)
	}
}

// readData reads data that came as bytes of its own. Where it is not JSON at all, the
// fault names its origin.
func (e *envelope) readData(f *document.Faults, origin string, data []byte) bool {
	data = trim(data)
	if document.IsUTF16(data) {
		f.Add(origin, utf16Message)
		e.hasData = true
		return false
	}
	var inner document.Faults
	w := document.Walk(data, "$.data", 1, &inner)
	e.inner = w
	tree := w.Read()
	e.hasData = true
	if w.Broken {
		f.Merge(&inner, origin)
		return false
	}
	f.Merge(&inner, "")
	e.data, e.tree = data, tree
	return true
}

// event checks the envelope and its contents.
func (e *envelope) event(f *document.Faults) (*Event, error) {
	defer e.inner.Done()
	ev := e.checkAttributes(f)
	switch {
	case !e.hasData && !slices.Contains(e.named, "data"):
		f.Add("$.data", "is required")
	case e.data != nil && ev.Type != "":
		checkData(f, "$.data", ev.Type, e.tree)
	}
	if err := f.Err(opParse); err != nil {
		return nil, err
	}
	var err error
	if ev.Digest, err = evidence.CanonicalDigest(e.data); err != nil {
		f.Add("$.data", "has no digest: %v", err)
		return nil, f.Err(opParse)
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
