package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// ConnectOptions are the options of all our connections; they reconnect indefinitely. An
// answer of many messages, such as what became of an escalation, gets a queue of its own;
// by default the client library reserves 65,536 places for each, which is half a
// megabyte.
func ConnectOptions(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(5 * time.Second), nats.SyncQueueLen(2 * batchRecords),
	}
}

// VerifySync asks the monitoring endpoint of the server that nc is connected to whether
// it syncs every write. Only such a server may hold evidence: by default a server syncs
// every two minutes.
func VerifySync(ctx context.Context, nc *nats.Conn, monitor string) error {
	if monitor == "" {
		return errors.New("no monitoring address was given to ask whether the server syncs every write")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+"/varz", nil)
	if err != nil {
		return fmt.Errorf("monitoring address: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("monitoring: %w", err)
	}
	defer resp.Body.Close()
	var v struct {
		ID        string `json:"server_id"`
		JetStream struct {
			Config struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return fmt.Errorf("monitoring: %w", err)
	}
	if v.ID != nc.ConnectedServerId() {
		return fmt.Errorf("monitoring at %s answers for another server than the one connected", monitor)
	}
	if !v.JetStream.Config.SyncAlways {
		return errors.New("the server does not sync every write (sync_interval: always)")
	}
	return nil
}
