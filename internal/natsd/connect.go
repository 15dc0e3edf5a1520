package natsd

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/tally"
)

// ReportErrors returns a handler for asynchronous errors of a connection, such as a
// message that is not read in time. It logs at most once a second.
func ReportErrors(log *zap.Logger) nats.ErrHandler {
	errs := tally.InLog(log.Warn, "errors on a connection of the services", "errors")
	return func(_ *nats.Conn, sub *nats.Subscription, err error) {
		subject := ""
		if sub != nil {
			subject = sub.Subject
		}
		errs.Add(fmt.Sprintf("subscription %q: %v", subject, err))
	}
}

// answerQueue is how many messages of one answer may wait: twice as many as the bus asks
// for at once.
const answerQueue = 2000

// ConnectOptions are the options of all our connections; they reconnect indefinitely. An
// answer of many messages, such as what became of an escalation, gets a queue of its own;
// by default the client library reserves 65,536 places for each, which is half a
// megabyte.
func ConnectOptions(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(5 * time.Second), nats.SyncQueueLen(answerQueue),
	}
}
