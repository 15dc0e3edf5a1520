package interchange

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// maxNumber is the greatest number that is imported: above 2^53-1 a JSON reader may round
// (RFC 8259 section 6), and a count would change unnoticed.
const maxNumber = 1<<53 - 1

// The maximum length of texts, in characters. An id leaves room for the prefix in the 256
// that intake accepts.
const (
	maxTitle = 200
	maxID    = 250
)

// The years of a report that intake accepts.
const firstYear, lastYear = 1970, 2200

// Options name the operator and facility of the imported incidents.
type Options struct {
	Operator string // the operator's id; the last segment of the source
	Facility string // id of the facility that all of it happened to
	Ongoing  bool   // DOE-417 only: an event without an end still lasts

	// Note is called with what a person should know that is not a fault; may be nil.
	Note func(fault.Detail)
}

func (o Options) check(op string) error {
	var faults []fault.Detail
	bad := func(name, message string) {
		faults = append(faults, fault.Detail{Path: name, Message: message})
	}
	if strings.ContainsFunc(o.Operator, breaksSource) {
		bad("operator", fmt.Sprintf("%q cannot be the last segment of a source (RFC 3986)", o.Operator))
	}
	for _, id := range []struct{ name, value string }{{"operator", o.Operator}, {"facility", o.Facility}} {
		switch {
		case id.value == "":
			bad(id.name, "is required")
		case !utf8.ValidString(id.value):
			bad(id.name, fmt.Sprintf("%q is not UTF-8", id.value))
		case utf8.RuneCountInString(id.value) > maxID:
			bad(id.name, fmt.Sprintf("has more than %d characters", maxID))
		}
	}
	if faults != nil {
		return fault.Invalid(op, faults)
	}
	return nil
}

// breaksSource reports whether a character is forbidden in a URI, or would end or split
// its last segment, so that it would name another operator.
func breaksSource(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`:/?#%"<>\^{|}[]`+"`", r)
}

// incident is the common form of both formats.
type incident struct {
	id      string // the report, unique for its source
	subject string // the incident
	at      time.Time
	kind    string
	title   string
	facts   event.Facts
	other   []string // assumptions; fixed phrases with values of the source
}

// importer writes incidents and collects the faults of unreadable input.
type importer struct {
	op     string
	opts   Options
	emit   func([]byte) error
	faults []fault.Detail
	last   [sha256.Size]byte // of the data that was written last
}

func newImporter(op string, o Options, emit func([]byte) error) (*importer, error) {
	if err := o.check(op); err != nil {
		return nil, err
	}
	return &importer{op: op, opts: o, emit: emit}, nil
}

// refuse adds the faults of one piece of the input, with its position.
func (im *importer) refuse(where string, faults ...fault.Detail) {
	for _, d := range faults {
		im.faults = append(im.faults, fault.Detail{Path: where + ": " + d.Path, Message: d.Message})
	}
}

// note passes on what a person should know of one piece of the input.
func (im *importer) note(path, format string, args ...any) {
	if im.opts.Note != nil {
		im.opts.Note(fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// finish returns the error of the whole import: why it stopped, if it did, and every
// fault up to then.
func (im *importer) finish(stopped error) error {
	switch {
	case stopped != nil:
		return &fault.Error{Op: im.op, Kind: fault.KindOf(stopped), Details: im.faults, Err: stopped}
	case len(im.faults) > 0:
		return fault.Invalid(im.op, im.faults)
	}
	return nil
}

// write emits one incident as a CloudEvent of the JSON format.
func (im *importer) write(in incident) error {
	at := in.at.UTC()
	data, err := json.Marshal(event.Report{
		Facilities:             []string{im.opts.Facility},
		DiscoveredAt:           &at,
		Kind:                   in.kind,
		Title:                  in.title,
		ContainsNoStateSecrets: true,
		Facts:                  in.facts,
		Other:                  strings.Join(in.other, " "),
		Imported:               true,
	})
	if err != nil {
		return fmt.Errorf("report %s: %w", in.id, err)
	}
	im.last = sha256.Sum256(data)
	e := cloudevents.New(cloudevents.CloudEventsVersionV1)
	e.SetType(event.TypeInitial)
	e.SetSource(event.SourceOf(im.opts.Operator))
	e.SetID(in.id)
	e.SetSubject(in.subject)
	e.SetTime(at)
	if err := e.SetData(cloudevents.ApplicationJSON, json.RawMessage(data)); err != nil {
		return fmt.Errorf("report %s: %w", in.id, err)
	}
	if err := e.Validate(); err != nil {
		return fmt.Errorf("report %s: %w", in.id, err)
	}
	line, err := e.MarshalJSON()
	if err != nil {
		return fmt.Errorf("report %s: %w", in.id, err)
	}
	return im.emit(line)
}

// plain returns text on one line: white space and control characters become single
// spaces, invalid UTF-8 becomes U+FFFD.
func plain(s string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
	return strings.Join(words, " ")
}

// titleOf returns text as a title: on one line, at most 200 characters.
func titleOf(s string) string {
	runes := []rune(plain(s))
	return strings.TrimSpace(string(runes[:min(len(runes), maxTitle)]))
}
