package cloudevent

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Parsed is one event of a request: the event, or why it is refused.
type Parsed struct {
	Event *Event
	Raw   []byte // as sent: the element of a batch, otherwise the body
	Err   error  // as from Parse; paths begin at this event
}

// MaxBatch bounds one batch.
const MaxBatch = 1000

// Reports are the reports of one HTTP request. Each is parsed only when Parse is called:
// a body of 16 MiB may parse into half a gigabyte.
type Reports struct {
	Batch bool
	raw   [][]byte // parts of the body
	parse func(raw []byte) (*Event, error)
}

// Len returns the number of reports.
func (r Reports) Len() int { return len(r.raw) }

// Size returns the size of report i in bytes.
func (r Reports) Size(i int) int { return len(r.raw[i]) }

// Parse reads report i.
func (r Reports) Parse(i int) Parsed {
	e, err := r.parse(r.raw[i])
	return Parsed{Event: e, Raw: r.raw[i], Err: err}
}

// FromHTTP reads the reports of an HTTP request by the HTTP protocol binding of
// CloudEvents (1.0.2, section 3): structured (application/cloudevents+json), batched
// (application/cloudevents-batch+json) or binary (ce- headers, with Content-Type for the
// data). Each event is accepted or refused separately.
//
// An error means that the envelope cannot be read: a Content-Type of none of these modes,
// or a batch that is not a JSON array. It is of kind fault.Reject. The caller bounds the
// body.
func FromHTTP(h http.Header, body []byte) (Reports, error) {
	var f document.Faults
	contentType, ce := splitHeader(h, &f)
	if f.Any() {
		return Reports{}, f.Err(opBinding)
	}
	one := [][]byte{body}
	switch m := modeOf(contentType); {
	case m == modeStructured:
		return Reports{raw: one, parse: Parse}, nil
	case m == modeBatch:
		raw, err := splitBatch(body)
		return Reports{Batch: true, raw: raw, parse: Parse}, err
	case m == modeBinary && len(ce) > 0:
		return Reports{raw: one, parse: func(body []byte) (*Event, error) { return httpBinary(contentType, ce, body) }}, nil
	}
	f.Add("$", "has the Content-Type %s: want application/cloudevents+json, application/cloudevents-batch+json, or ce- headers with application/json", strconv.Quote(contentType))
	return Reports{}, f.Err(opBinding)
}

func httpBinary(contentType string, ce []attribute, body []byte) (*Event, error) {
	var f document.Faults
	env := binaryEnvelope(&f, ce, body)
	if env == nil {
		return nil, f.Err(opBinding)
	}
	if _, ok := env.attributes["datacontenttype"]; ok {
		f.Add("$.datacontenttype", "must be given by Content-Type, not by a ce- header (HTTP binding, section 3.1.1)")
	}
	if contentType != "" {
		env.attributes["datacontenttype"] = contentType
	}
	return env.binaryEvent(&f)
}

// splitBatch returns each element of a JSON array.
func splitBatch(body []byte) (elements [][]byte, err error) {
	if document.IsUTF16(body) {
		return nil, fault.Invalid(opBinding, []fault.Detail{{Path: "$", Message: utf16Message}})
	}
	s := newSplitter(bytes.NewReader(body))
	s.onlyArray = true
	err = s.run(func(raw []byte) error {
		if len(elements) == MaxBatch {
			return fmt.Errorf("it has more than %d events: send them in several batches", MaxBatch)
		}
		elements = append(elements, body[s.offset-int64(len(raw)):s.offset:s.offset])
		return nil
	})
	if err != nil {
		return nil, fault.Invalid(opBinding, []fault.Detail{{Path: "$", Message: "is not a JSON array of events: " + err.Error()}})
	}
	return elements, nil
}
