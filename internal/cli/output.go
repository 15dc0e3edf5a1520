package cli

import (
	"fmt"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tocsin-project/tocsin/internal/logging"
)

// logger returns the server's log on standard error; payloads never appear in it. From
// here on a reader of our output that stalls or has gone no longer stops the process:
// both outputs are written through bounded buffers.
func (e *environment) logger(level zapcore.Level) *logging.Log {
	signal.Ignore(syscall.SIGPIPE) // writing reports the error instead
	log := logging.New(e.ErrOut, level)
	restore := zap.RedirectStdLog(log.Logger)
	out := logging.NewWriter(e.Out, func(n uint64) []byte { return fmt.Appendf(nil, "(%d lines were dropped)\n", n) })
	e.ErrOut, e.Out = log.Writer(), out
	e.flush = func() {
		restore()
		out.Close(logging.FlushWait)
		log.Close()
	}
	return log
}
