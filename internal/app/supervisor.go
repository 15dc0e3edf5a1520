package app

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-project/tocsin/internal/fault"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// notifySupervisor reports the state of the process to systemd, if it runs under systemd.
func (a *App) notifySupervisor(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.cfg.Log.Warn("cannot notify the supervisor", zap.String("state", state), zap.Error(err))
	}
}

// watchdog notifies the supervisor twice in each interval that the process works. It
// stays silent while writes are not read back, so that the process is restarted; not
// while the disk is full, since a restart would not help.
func (a *App) watchdog(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.cfg.Log.Warn("cannot read the interval of the supervisor's watchdog", zap.Error(err))
	}
	if err != nil || interval <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		if a.isWorking() {
			a.notifySupervisor(daemon.SdNotifyWatchdog)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isWorking reports whether writes are read back, or fail for a known, temporary reason.
func (a *App) isWorking() bool {
	_, err := a.realms[0].bus.Stores()
	full := fault.Full("")
	return err == nil || errors.As(err, &full)
}
