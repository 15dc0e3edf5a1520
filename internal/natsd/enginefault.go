package natsd

import (
	"context"
	"errors"
	"strings"
)

// ErrEngineFailed says that the embedded engine has met an error after which it stores
// nothing until the process is started again.
var ErrEngineFailed = errors.New("the engine stores nothing any more")

// engineFaults are parts of the formats in which the engine (nats-server 2.15) says so:
// after a failed write or sync a stream refuses every later write, and answers none of
// them; where the file system denies a write, all of JetStream is turned off.
var engineFaults = []string{"critical write error", "disabling jetstream", "will be disabled"}

// isEngineFault reports whether a line is such an error. The format decides: what is
// filled in may be a text of a client.
func isEngineFault(format string) bool {
	format = strings.ToLower(format)
	for _, fault := range engineFaults {
		if strings.Contains(format, fault) {
			return !lineHead.MatchString(format)
		}
	}
	return false
}

// health is how the embedded engine is: its context ends with the first error after
// which the engine stores nothing any more.
type health struct {
	ctx  context.Context
	fail context.CancelCauseFunc
}

func newHealth() health {
	ctx, fail := context.WithCancelCause(context.Background())
	return health{ctx, fail}
}

// Failed returns a channel that is closed when the engine stores nothing any more;
// Failure then says why.
func (s *Server) Failed() <-chan struct{} { return s.health.ctx.Done() }

// Failure returns the error that the engine met, in its own words, or nil.
func (s *Server) Failure() error { return context.Cause(s.health.ctx) }
