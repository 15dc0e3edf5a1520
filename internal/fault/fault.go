// Package fault is the one error type of the product.
//
// An error that a handler returns says by its kind what the bus does next:
// Retry tries the same record again after a growing pause and, when the tries
// are used up, puts it before a person; Reject puts it before a person at
// once, because trying again cannot help; Stop halts the service, because
// going on could fork history. An error without a kind is Retry: not knowing
// is no ground for giving a report up.
//
// What is wrong with an input is a list of Detail, each with the path of the
// offending value, so that a sender can mend everything in one go.
package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// Kind says what the one who meets an error does with the record in hand.
type Kind int

const (
	Retry  Kind = iota // may succeed later: try again
	Reject             // can never succeed: record it as needing a person
	Stop               // going on could fork history: halt the service
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

// MarshalJSON writes a fault as people can read it: it may repeat what a sender wrote.
func (d Detail) MarshalJSON() ([]byte, error) {
	type plain Detail
	return json.Marshal(plain{printable.Line(d.Path), printable.Line(d.Message)})
}

// Error is an operation that failed, how to react, and what was wrong.
type Error struct {
	Op      string // package and operation: "classifier: fold"
	Kind    Kind
	Details []Detail // all faults of a refused input; nil for other errors
	Err     error    // the cause; may be nil when Details say it all
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

// Full is the error of what is refused because the disk has no room for it: nothing of it
// was stored, and it can be sent again once there is. Its text goes to the sender.
type Full string

func (f Full) Error() string { return string(f) }
