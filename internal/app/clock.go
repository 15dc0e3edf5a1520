package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
)

// How often the machine's clock is checked, and compared with the engine's; and the
// difference from which on that is logged.
const (
	clockInterval  = time.Second
	engineInterval = 10 * time.Second
	maxEngineSkew  = time.Second
)

// compareClock passes the storage time of a realm's last record to the clock's watch. It
// must be called before anything is written.
func (a *App) compareClock(ctx context.Context, r *realm) error {
	head, err := r.bus.Head(ctx)
	if err != nil || head == 0 {
		return err
	}
	last, err := r.bus.Get(ctx, head)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.cfg.Watch.Observe(last.StoredAt)
	return nil
}

// watchClock logs when the machine's clock was stepped, or differs from the clock of
// NATS, until ctx ends.
func (a *App) watchClock(ctx context.Context) error {
	tick := time.NewTicker(clockInterval)
	defer tick.Stop()
	var steps uint64
	doubt := ""
	lastCompared := time.Time{}
	for {
		s := a.cfg.Watch.Check()
		if s.Steps != steps || s.Doubt != "" && doubt == "" {
			a.cfg.Log.Error("the machine's clock is unreliable; receipts say so",
				zap.String("why", s.Doubt), zap.Uint64("steps", s.Steps), zap.Duration("offset", s.Offset))
		}
		if s.Doubt == "" && doubt != "" {
			a.cfg.Log.Info("the machine's clock is reliable again")
		}
		steps, doubt = s.Steps, s.Doubt
		if now := clock.Steady(); now.Sub(lastCompared) >= engineInterval {
			lastCompared = now
			a.compareEngine(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// compareEngine compares the clock of each realm with that of the engine, which stamps
// stored records.
func (a *App) compareEngine(ctx context.Context) {
	for _, r := range a.realms {
		skew, err := r.bus.ClockSkew(ctx)
		if err != nil {
			continue // reported by other checks
		}
		r.skew.Store(int64(skew))
		if skew.Abs() >= maxEngineSkew {
			r.log.Error("our clock differs from the engine's", zap.Duration("by", skew))
		}
	}
}

// clockWarnings returns why times are not reliable.
func (a *App) clockWarnings() (out []string) {
	if doubt := a.cfg.Watch.Check().Doubt; doubt != "" {
		out = append(out, doubt)
	}
	if skew := time.Duration(a.realms[0].skew.Load()); skew.Abs() > time.Duration(a.cfg.Rulebook.Register.ClockTolerance) {
		out = append(out, fmt.Sprintf("the clock of NATS is %s ahead of ours", skew.Round(time.Millisecond)))
	}
	return out
}

var (
	clockStepsCounter = prometheus.NewDesc("tocsin_clock_steps_total",
		"How often the machine's clock was set, or had drifted away, by more than the register's clockTolerance.", nil, nil)
	clockOffsetGauge = prometheus.NewDesc("tocsin_clock_offset_seconds",
		"How far the machine's clock is ahead of the time that has passed since the start.", nil, nil)
	clockDoubtGauge = prometheus.NewDesc("tocsin_clock_doubtful",
		"1 while the machine's clock is unreliable, and receipts say so.", nil, nil)
	clockSyncGauge = prometheus.NewDesc("tocsin_clock_synchronized",
		"1 where the kernel reports that the machine's clock is synchronized, by NTP or otherwise; absent where it reports nothing.", nil, nil)
	clockSkewGauge = prometheus.NewDesc("tocsin_engine_clock_skew_seconds",
		"How far the clock of NATS is ahead of ours.", []string{"exercise"}, nil)
)

// collectClock collects how reliable times are.
func (a *App) collectClock(to chan<- prometheus.Metric) {
	s := a.cfg.Watch.Check()
	sendCounter(to, clockStepsCounter, float64(s.Steps))
	sendGauge(to, clockOffsetGauge, s.Offset.Seconds())
	sendGauge(to, clockDoubtGauge, numberOf(s.Doubt != ""))
	if synchronized, known := clock.Synchronized(); known {
		sendGauge(to, clockSyncGauge, numberOf(synchronized))
	}
	for _, r := range a.realms {
		sendGauge(to, clockSkewGauge, time.Duration(r.skew.Load()).Seconds(), r.exerciseLabel())
	}
}
