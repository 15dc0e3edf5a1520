package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
)

// serveHTTP is every HTTP door: reports, the log, and how this process is.
func (a *App) serveHTTP(ctx context.Context) error {
	srv := httpedge.Server(a.routes())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(a.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("http: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(last)
	if err != nil {
		_ = srv.Close() // a peer that does not take its answer holds nothing up
	}
	return errors.Join(err, ctx.Err())
}

// routes has in each realm what the roles that run here answer.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	api := httpedge.NewAPI(mux, "Tocsin", `Reports of cybersecurity incidents at critical information infrastructure, who
was told of them when and under which article, and the proof of it. What is under
/v1/exercise is the same for drills, which reach no real desk.`)
	for _, r := range a.realms {
		prefix := "/v1"
		if r.name == event.Drill {
			prefix = "/v1/exercise"
		}
		group := huma.NewGroup(api, prefix)
		if r.name == event.Drill {
			group.UseSimpleModifier(func(op *huma.Operation) { op.OperationID, op.Tags = "exercise-"+op.OperationID, []string{"exercise"} })
		}
		if r.intake != nil {
			mux.Handle("POST "+prefix+"/reports", r.intake.Handler())
			r.intake.Describe(group)
		}
		if r.ledger != nil {
			r.ledger.Register(group)
		}
	}
	a.health(mux)
	mux.Handle("/", httpedge.Otherwise(mux))
	return mux
}
