package endpoint

import (
	"errors"

	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// HeaderError and HeaderErrorCode are set on a reply that is an error of the endpoint
// itself, as NATS micro services do: 503 means try again later, 507 that the disk has no
// room, 423 that trying again does not help.
const (
	HeaderError     = micro.ErrorHeader
	HeaderErrorCode = micro.ErrorCodeHeader
	codeTryAgain    = "503"
	codeFrozen      = "423" // trying again does not help until a person has intervened
	codeForbidden   = "403" // the caller has no permission
	codeFull        = "507" // the disk has no room: nothing was stored
	codeTooLarge    = "413" // the question or its answer is too large
	codeTooMany     = "429" // the caller exceeds its rate limit: try again later
)

// Unavailable is the error of an endpoint that cannot answer now. Its text goes to the
// caller, who may retry later.
type Unavailable string

func (u Unavailable) Error() string { return string(u) }

// Is makes Unavailable match bus.ErrUnavailable: the outcome is unknown.
func (u Unavailable) Is(target error) bool { return target == bus.ErrUnavailable }

// Forbidden is the error of an endpoint for a request that the caller has no permission
// for. Its text goes to the sender.
type Forbidden string

func (f Forbidden) Error() string { return string(f) }

// refusalOf returns the answer that a caller gets for an error.
func refusalOf(err error) (code, text string) {
	var full fault.Full
	var frozen bus.Frozen
	var unavailable Unavailable
	switch {
	case errors.As(err, &full):
		return codeFull, string(full)
	case errors.As(err, &frozen):
		return codeFrozen, string(frozen)
	case errors.As(err, &unavailable):
		return codeTryAgain, string(unavailable)
	}
	return codeTryAgain, "the outcome is not known: try again"
}

var errPanic = errors.New("panic")
