// Package fault is the one error type of the product.
//
// The kind of a handler's error tells the bus what to do next: Retry tries the same
// record again after a growing pause and, after the last attempt, puts it before a
// person; Reject puts it before a person at once, because another attempt cannot help;
// Stop halts the service, because continuing could fork history. An error without a kind
// is Retry: an unknown cause may be temporary.
//
// The faults of an input are a list of Detail, each with the path of the offending value,
// so that a sender can correct everything at once.
package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// Kind tells the handler of an error what to do with the record.
type Kind int

// The kinds of errors.
const (
	Retry  Kind = iota // may succeed later: try again
	Reject             // can never succeed: record it as needing a person
	Stop               // continuing could fork history: halt the service
)

func (k Kind) String() string {
	return [...]string{"retry", "reject", "stop"}[k]
}

// Detail is one fault of an input.
type Detail struct {
	// Path is the JSONPath (RFC 9535, dot form) of the value, from the root of
	// the CloudEvent: $.data.facts.outage[0].until.
	Path    string `json:"path"`
	Message string `json:"message"`
}

// MarshalJSON writes a fault in printable form, since it may quote the sender's text.
func (d Detail) MarshalJSON() ([]byte, error) {
	type plain Detail
	return json.Marshal(plain{printable.Line(d.Path), printable.Line(d.Message)})
}

// Error is a failed operation, how to react, and the cause.
type Error struct {
	Op      string // package and operation: "classifier: fold"
	Kind    Kind
	Details []Detail // all faults of a refused input; nil for other errors
	Err     error    // the cause; may be nil when Details are enough
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	for i, d := range e.Details {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %s", sep, d.Path, d.Message)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the given kind whose cause is formatted as by
// fmt.Errorf, %w included.
func New(kind Kind, op, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Invalid returns a Reject error that carries every fault of an input.
func Invalid(op string, details []Detail) error {
	return &Error{Op: op, Kind: Reject, Details: details}
}

// InFile returns err with the name of the file before the path of each fault.
func InFile(name string, err error) error {
	var e *Error
	if !errors.As(err, &e) || len(e.Details) == 0 {
		return fmt.Errorf("%s: %w", name, err)
	}
	in := *e
	in.Details = make([]Detail, len(e.Details))
	for i, d := range e.Details {
		in.Details[i] = Detail{Path: name + ": " + d.Path, Message: d.Message}
	}
	return &in
}

// KindOf returns the kind of the outermost Error in the chain of err, or Retry.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Retry
}

// DetailsOf returns the faults that err carries, or nil.
func DetailsOf(err error) []Detail {
	var e *Error
	if errors.As(err, &e) {
		return e.Details
	}
	return nil
}

// Full is the error of a request that is refused because the disk is full: nothing of it
// was stored, and it can be sent again once there is room. Its text goes to the sender.
type Full string

func (f Full) Error() string { return string(f) }
