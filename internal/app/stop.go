package app

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// finishWait is how long requests in hand may take to finish.
	finishWait = 10 * time.Second
	// stopWait bounds Stop as a whole: what has not ended by then ends with the process.
	stopWait = 20 * time.Second
)

// Stop finishes requests in hand and stops everything, in reverse order. It may be called
// twice, and returns in bounded time, also where the disk or the engine hangs.
func (a *App) Stop() {
	a.stopOnce.Do(func() {
		stopped := make(chan struct{})
		go func() { defer close(stopped); a.stopAll() }()
		select {
		case <-stopped:
		case <-time.After(stopWait):
			a.cfg.Log.Error("stopping takes too long; what was answered is on disk, and the rest ends with the process")
		}
	})
}

func (a *App) stopAll() {
	a.tellSupervisor(daemon.SdNotifyStopping)
	if a.stop != nil {
		a.stop()
	}
	select {
	case <-a.ended:
	case <-a.engineFailed(): // nothing that waits for the engine finishes
	case <-time.After(finishWait):
	}
	a.closeRealms() // what still waits for the stream gets no answer; it is sent again
	<-a.ended
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
		_ = a.lock.Close() // which releases it
	}
}

func (a *App) closeRealms() {
	for _, r := range a.realms {
		r.bus.Close()
	}
}

// engineFailed is closed when the embedded engine stores nothing any more; nil: there is
// none.
func (a *App) engineFailed() <-chan struct{} {
	if a.server == nil {
		return nil
	}
	return a.server.Failed()
}

// watchEngine returns with the error after which the engine stores nothing any more: a
// supervisor that starts the process again is all that helps.
func (a *App) watchEngine(ctx context.Context) error {
	select {
	case <-a.server.Failed():
		return a.server.Failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whileEngineWorks returns a context that ends with the engine, which is then its cause.
func (a *App) whileEngineWorks(ctx context.Context) (context.Context, context.CancelFunc) {
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
