package natsd

import (
	"context"
	"errors"
	"strings"
)

// ErrEngineFailed means that the embedded engine met an error after which it stores
// nothing until the process is restarted.
var ErrEngineFailed = errors.New("the engine stores nothing any more")

// engineFaults are parts of the log formats of such errors in the engine (nats-server
// 2.15): after a failed write or sync a stream refuses every later write and answers none
// of them; if the file system denies a write, all of JetStream is disabled.
var engineFaults = []string{"critical write error", "disabling jetstream", "will be disabled"}

// isEngineFault reports whether a log line is such an error. Only the format is checked,
// because its arguments may contain client text.
func isEngineFault(format string) bool {
	format = strings.ToLower(format)
	for _, fault := range engineFaults {
		if strings.Contains(format, fault) {
			return !lineHead.MatchString(format)
		}
	}
	return false
}

// health is the state of the embedded engine: its context ends with the first error after
// which the engine stores nothing.
type health struct {
	ctx  context.Context
	fail context.CancelCauseFunc
}

func newHealth() health {
	ctx, fail := context.WithCancelCause(context.Background())
	return health{ctx, fail}
}

// Failed returns a channel that is closed when the engine stops storing; Failure then
// returns the cause.
func (s *Server) Failed() <-chan struct{} { return s.health.ctx.Done() }

// Failure returns the error that the engine met, in its own words, or nil.
func (s *Server) Failure() error { return context.Cause(s.health.ctx) }
