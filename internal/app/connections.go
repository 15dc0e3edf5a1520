package app

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/listener"
)

const (
	// storeDescriptors are reserved for the stores: the streams, the indexes, the log's
	// tiles. They were seen to use 60 under load.
	storeDescriptors = 128
	// maxConnections is how many connections a port accepts by default, if there are
	// enough descriptors.
	maxConnections = 4096
	// minConnections is the least that a port needs.
	minConnections = 16
	ports          = 2 // NATS and HTTP
)

// connectionBounds returns the bounds of each port: the configured ones, or as many
// connections as leave descriptors for the stores, half of them for one address.
func connectionBounds(configured listener.Bounds, descriptors int) (listener.Bounds, error) {
	limit := (descriptors - storeDescriptors) / ports
	if limit < minConnections {
		return configured, fmt.Errorf("the process may have %d files open, too few for its stores and connections: allow %d at least (ulimit -n, LimitNOFILE=)",
			descriptors, storeDescriptors+ports*minConnections)
	}
	if configured.Total > limit {
		return configured, fmt.Errorf("--max-connections %d for each port needs %d open files, and the process may have %d: allow more (ulimit -n, LimitNOFILE=)",
			configured.Total, storeDescriptors+ports*configured.Total, descriptors)
	}
	b := configured
	if b.Total == 0 {
		b.Total = min(limit, maxConnections)
	}
	if b.PerAddress == 0 {
		b.PerAddress = max(1, b.Total/2)
	}
	return b, nil
}

// setConnectionBounds sets how many connections the ports accept.
func (a *App) setConnectionBounds() (err error) {
	a.bounds, err = connectionBounds(a.cfg.Connections, listener.Descriptors())
	if err == nil {
		a.cfg.Log.Debug("connections are bounded", zap.Int("for_each_port", a.bounds.Total), zap.Int("for_each_address", a.bounds.PerAddress))
	}
	return err
}

// listenHTTP opens the HTTP port. Its server closes connections that send no request.
func (a *App) listenHTTP() (err error) {
	a.listener, err = listener.Listen(a.cfg.HTTPListen, listener.Config{Name: "http", Bounds: a.bounds, Clock: clock.Monotonic{}, Log: a.cfg.Log})
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}
