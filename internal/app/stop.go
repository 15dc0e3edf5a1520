package app

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// drainTimeout is how long requests in flight may take to finish.
	drainTimeout = 10 * time.Second
	// stopTimeout bounds Stop as a whole: anything still running then ends with the
	// process.
	stopTimeout = 20 * time.Second
)

// Stop finishes requests in flight and stops everything, in reverse order. It may be
// called twice, and returns in bounded time, even if the disk or the engine hangs.
func (a *App) Stop() {
	a.stopOnce.Do(func() {
		stopped := make(chan struct{})
		go func() { defer close(stopped); a.stopAll() }()
		select {
		case <-stopped:
		case <-time.After(stopTimeout):
			a.cfg.Log.Error("stopping takes too long; what was answered is on disk, and the rest ends with the process")
		}
	})
}

func (a *App) stopAll() {
	a.notifySupervisor(daemon.SdNotifyStopping)
	if a.stop != nil {
		a.stop()
	}
	select {
	case <-a.servicesDone:
	case <-a.engineFailed(): // requests that wait for the engine cannot finish
	case <-time.After(drainTimeout):
	}
	a.closeRealms() // requests still waiting for the stream get no answer; they are sent again
	<-a.servicesDone
	if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.nc != nil {
		a.nc.Close()
	}
	if a.server != nil {
		a.server.Stop()
	}
	if a.lock != nil {
		_ = a.lock.Close() // also releases the lock
	}
}

func (a *App) closeRealms() {
	for _, r := range a.realms {
		r.bus.Close()
		r.endpoints.Close()
	}
}

// engineFailed returns a channel that is closed when the embedded engine can no longer
// store; nil if there is none.
func (a *App) engineFailed() <-chan struct{} {
	if a.server == nil {
		return nil
	}
	return a.server.Failed()
}

// watchEngine returns with the error after which the engine can no longer store: only a
// restart of the process by a supervisor helps.
func (a *App) watchEngine(ctx context.Context) error {
	select {
	case <-a.server.Failed():
		return a.server.Failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// untilEngineFails returns a context that ends when the engine fails, with its error as
// the cause.
func (a *App) untilEngineFails(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if a.server != nil {
		go func() {
			if err := a.watchEngine(ctx); ctx.Err() == nil {
				cancel(err)
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}
