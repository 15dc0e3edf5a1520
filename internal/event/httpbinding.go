package event

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// Parsed is one event of a request: the event, or why it is refused.
type Parsed struct {
	Event *Event
	Raw   []byte // as sent: the element of a batch, otherwise the body
	Err   error  // as from ParseEvent; paths begin at this event
}

// MaxBatchEvents bounds one batch: what is read is held in memory until every
// event of it is answered.
const MaxBatchEvents = 1000

// FromHTTP reads the reports of an HTTP request by the HTTP protocol binding
// of CloudEvents (1.0.2, section 3): structured (application/cloudevents+json),
// batched (application/cloudevents-batch+json) or binary (ce- headers, with
// Content-Type for the data). Each event is judged by itself.
//
// An error means that the envelope cannot be read: a Content-Type that means
// none of these, or a batch that is no JSON array. It is of kind fault.Reject.
// The caller bounds the body.
func FromHTTP(h http.Header, body []byte) (events []Parsed, batch bool, err error) {
	var f faults
	contentType, ce := splitHeader(h, &f)
	if f.any() {
		return nil, false, f.err(opBinding)
	}
	var e *Event
	switch m := modeOf(contentType); {
	case m == modeStructured:
		e, err = ParseEvent(body)
	case m == modeBatch:
		events, err = splitBatch(body)
		return events, true, err
	case m == modeBinary && len(ce) > 0:
		e, err = httpBinary(&f, contentType, ce, body)
	default:
		f.add("$", "has the Content-Type %s: want application/cloudevents+json, application/cloudevents-batch+json, or ce- headers with application/json", strconv.Quote(contentType))
		return nil, false, f.err(opBinding)
	}
	return []Parsed{{Event: e, Raw: body, Err: err}}, false, nil
}

func httpBinary(f *faults, contentType string, ce []attribute, body []byte) (*Event, error) {
	env := binaryEnvelope(f, ce, body)
	if env == nil {
		return nil, f.err(opBinding)
	}
	if _, ok := env.attributes["datacontenttype"]; ok {
		f.add("$.datacontenttype", "must be given by Content-Type, not by a ce- header (HTTP binding, section 3.1.1)")
	}
	if contentType != "" {
		env.attributes["datacontenttype"] = contentType
	}
	return env.binaryEvent(f)
}

// splitBatch parses each element of a JSON array by itself.
func splitBatch(body []byte) ([]Parsed, error) {
	events := []Parsed{}
	s := newSplitter(bytes.NewReader(body))
	s.onlyArray = true
	err := s.run(func(raw []byte) error {
		if len(events) == MaxBatchEvents {
			return fmt.Errorf("it holds more than %d events: send them in several batches", MaxBatchEvents)
		}
		e, err := ParseEvent(raw)
		events = append(events, Parsed{Event: e, Raw: raw, Err: err})
		return nil
	})
	if err != nil {
		return nil, fault.Invalid(opBinding, []fault.Detail{{Path: "$", Message: "cannot be taken as a JSON array of events: " + err.Error()}})
	}
	return events, nil
}
