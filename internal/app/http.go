package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/internal/share"
	"github.com/tocsin-project/tocsin/internal/tally"
)

// serveHTTP serves all HTTP endpoints: reports, the log, and the health of this process.
func (a *App) serveHTTP(ctx context.Context) error {
	authority := a.authority(ctx)
	handler := httpedge.Identify(a.routes(), authority)
	var clients *clientCerts
	if a.httpTLS != nil && authority != nil {
		clients = newClientCerts(a.certificates[len(a.certificates)-1], authority)
		handler = clients.requireValid(handler)
		go clients.run(ctx)
	}
	srv := httpedge.Server(handler)
	if clients != nil {
		srv.ConnState = clients.connState
	}
	srv.ErrorLog = connectionErrors(a.cfg.Log.Named("http"))
	var port net.Listener = a.listener
	if a.httpTLS != nil {
		port = tls.NewListener(port, a.httpTLS)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(port) }()
	select {
	case err := <-ended:
		return fmt.Errorf("http: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(last)
	if err != nil {
		_ = srv.Close() // a peer that does not read its answer must not delay the stop
	}
	return errors.Join(err, ctx.Err())
}

// connectionErrors returns a log for http.Server's errors of single connections, such as
// a failed handshake. Anybody can cause a flood of them.
func connectionErrors(to *zap.Logger) *log.Logger {
	lines := tally.InLog(to.Info, "connection errors", "connections")
	return log.New(lineWriter(lines.Add), "", 0)
}

// lineWriter is called with each line written.
type lineWriter func(line string)

func (w lineWriter) Write(line []byte) (int, error) {
	w(strings.TrimSpace(string(line)))
	return len(line), nil
}

// endpointOf maps the operations of the API to endpoints over NATS: a caller that may
// use the one may use the other.
var endpointOf = map[string]string{
	"escalations": api.EndpointQuery, "incidents": api.EndpointIncidents, "stats": api.EndpointStats, "story": api.EndpointShow,
	"log": api.EndpointLog, "checkpoint": api.EndpointLog, "key": api.EndpointLog, "tile": api.EndpointTiles,
	"record": api.EndpointRecords, "proof": api.EndpointProve,
}

// drillPrefix is the prefix of the names of drill operations.
const drillPrefix = "exercise-"

// authority returns what identifies HTTP callers, until ctx ends; nil: every caller is
// accepted.
func (a *App) authority(ctx context.Context) httpedge.Authority {
	switch {
	case a.identities == nil:
		return nil
	case a.cfg.OIDC == nil:
		return a.identities
	}
	return newLogins(ctx, *a.cfg.OIDC, a.identities, a.cfg.Log)
}

// routes serves the endpoints of the roles that run here, in each realm.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	api := httpedge.NewAPI(mux, "Tocsin", `Reports of cybersecurity incidents at critical information infrastructure, who
was told of them when and under which article, and the proof of it. What is under
/v1/exercise is the same for drills, which reach no real desk.`)
	httpedge.Require(api, func(operation string) string { return endpointOf[strings.TrimPrefix(operation, drillPrefix)] })
	for _, r := range a.realms {
		prefix := "/v1"
		if r.name == event.Drill {
			prefix = "/v1/exercise"
		}
		group := huma.NewGroup(api, prefix)
		if r.name == event.Drill {
			group.UseSimpleModifier(func(op *huma.Operation) {
				op.OperationID, op.Tags = drillPrefix+op.OperationID, []string{"exercise"}
			})
		}
		if r.intake != nil {
			mux.Handle("POST "+prefix+"/reports", r.intake.Handler())
			r.intake.Describe(group)
		}
		if r.ledger != nil {
			r.ledger.Register(group)
		}
	}
	a.serveHealth(mux)
	mux.Handle("/", httpedge.Fallback(mux))
	return httpedge.LimitConcurrency(mux, share.NewPool(maxQueries))
}

// maxQueries bounds the concurrent queries over HTTP, of which each party has its
// share.
const maxQueries = 256
