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

// ReportErrors returns a handler for what a connection cannot do on its own, such as
// hand over a message that is not read in time. It reports at most once a second.
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

// ConnectOptions are what every connection of ours uses: it never gives up. An answer
// of many messages, such as what became of an escalation, is queued by itself; the
// client library makes room for 65,536 each time, which is half a megabyte.
func ConnectOptions(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(5 * time.Second), nats.SyncQueueLen(2 * batchRecords),
	}
}

// VerifySync asks the monitoring endpoint of the server that nc is connected
// to whether it syncs every write. Only a server that says so may hold
// evidence: the default syncs every two minutes.
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
