package natsd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go"
)

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
