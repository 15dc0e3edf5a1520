package app

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/services/deadline"
)

// maxHeartbeatAge is how old the last heartbeat of a service may be: it sends one every
// second.
const maxHeartbeatAge = 5 * time.Second

// checkTimeout is how long the services may take to answer a health check.
const checkTimeout = 400 * time.Millisecond

// healthy is the Status when everything works.
const healthy = "ok"

// Health is the state of this process. /healthz and /readyz answer with it, with 200 if
// Status is "ok" and 503 otherwise. /readyz covers the real path only: a drill in trouble
// must not close the real endpoints.
type Health struct {
	Status   string          `json:"status"`             // ok, or what is wrong
	Services []ServiceHealth `json:"services,omitempty"` // this and the following for an administrator only
	Warnings []string        `json:"warnings,omitempty"` // problems to see to although reports are taken and passed on
	Damage   []event.Damage  `json:"damage,omitempty"`   // of the record, if the ledger runs here
	Screens  []ScreenHealth  `json:"screens,omitempty"`  // of desks, if the deadline service runs here
}

// ServiceHealth tells when a service was last seen working.
type ServiceHealth struct {
	Service   string    `json:"service"`
	Exercise  bool      `json:"exercise"`
	LastAlive time.Time `json:"lastAlive"`
	Alive     bool      `json:"alive"`
}

// ScreenHealth tells when a desk's screen was last connected.
type ScreenHealth struct {
	api.Screen
	Exercise bool `json:"exercise"`
}

// serveHealth serves whether this process works (/healthz), whether it can take work
// (/readyz: it works, is connected, its writes are read back from the disk, and the
// ledger answers and is not damaged), and the metrics (/metrics).
func (a *App) serveHealth(mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, r *http.Request, h Health) {
		status := http.StatusOK
		if h.Status != healthy {
			status = http.StatusServiceUnavailable
		}
		if who := identity.Of(r.Context()); who.Role != identity.Admin && who.Role != identity.Trial {
			// Others must not know when a desk is empty, or what is damaged.
			h = Health{Status: healthy}
			if status != http.StatusOK {
				h.Status = "unavailable: an administrator sees why"
			}
		}
		httpedge.JSON(w, status, h)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, r, a.checkHealth(r.Context(), a.realms)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		real := a.realms[:1]
		h := a.checkHealth(r.Context(), real)
		for _, err := range forEachRealm(r.Context(), real, func(ctx context.Context, r *realm) error {
			_, err := r.bus.Head(ctx)
			return err
		}) {
			if err != nil && h.Status == healthy {
				h.Status = "the ledger's stream does not answer"
			}
		}
		for _, r := range real {
			if r.ledger == nil {
				if r.bus.FreezeReason() != "" && h.Status == healthy {
					h.Status = "the record is damaged"
				}
				continue
			}
			if h.Damage = r.ledger.Damage(); len(h.Damage) > 0 && h.Status == healthy {
				h.Status = "the record is damaged"
			}
		}
		if _, err := real[0].bus.Stores(); err != nil && h.Status == healthy {
			h.Status = err.Error()
		}
		answer(w, r, h)
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector(a.collectState), collector(a.collectDisk), collector(a.collectPorts), collector(a.collectIdentities), collector(a.collectClock))
	registry.MustRegister(a.cfg.Collectors...)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if who := identity.Of(r.Context()); who.Role != identity.Admin && who.Role != identity.Trial {
			httpedge.Write(w, httpedge.NewProblem(http.StatusForbidden, who.String()+" has no permission for this: an administrator has"))
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// checkHealth checks every service of this process in the given realms, and the desks'
// screens. It answers within a second, even if a service hangs.
func (a *App) checkHealth(ctx context.Context, realms []*realm) Health {
	h := Health{Status: healthy}
	now := clock.Steady()
	for _, realm := range realms {
		heartbeats := realm.bus.Heartbeats()
		for _, r := range roles {
			for _, name := range append([]string{r.name}, r.more...) {
				if _, known := heartbeats[name]; a.runs(r.name) && !known {
					heartbeats[name] = time.Time{}
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(heartbeats)) {
			at := heartbeats[name]
			s := ServiceHealth{Service: name, Exercise: realm.name == event.Drill, LastAlive: at, Alive: now.Sub(at) <= maxHeartbeatAge}
			if !s.Alive && h.Status == healthy {
				h.Status = realm.bus.Service(name) + " gives no sign of life"
			}
			h.Services = append(h.Services, s)
		}
	}
	if a.runs(deadline.Name) {
		for i, screens := range forEachRealm(ctx, realms, func(ctx context.Context, r *realm) []api.Screen { return r.screens(ctx) }) {
			for _, s := range screens {
				h.Screens = append(h.Screens, ScreenHealth{Screen: s, Exercise: realms[i].name == event.Drill})
			}
		}
	}
	h.Warnings = append(a.clockWarnings(), a.placeWarnings()...)
	for _, r := range realms {
		h.Warnings = append(h.Warnings, r.warnings()...)
	}
	if !a.nc.IsConnected() {
		h.Status = "not connected to NATS"
	}
	return h
}

// forEachRealm asks all realms concurrently and gives each checkTimeout.
func forEachRealm[T any](ctx context.Context, realms []*realm, query func(context.Context, *realm) T) []T {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := make([]T, len(realms))
	var wg sync.WaitGroup
	for i, r := range realms {
		wg.Go(func() { out[i] = query(ctx, r) })
	}
	wg.Wait()
	return out
}

var (
	damagedGauge = prometheus.NewDesc("tocsin_ledger_damaged",
		"1 where stored records differ from those certified: certification has stopped.", []string{"exercise"}, nil)
	certifiedGauge = prometheus.NewDesc("tocsin_ledger_certified_records",
		"Records that the last checkpoint covers.", []string{"exercise"}, nil)
	checkedGauge = prometheus.NewDesc("tocsin_ledger_checked_timestamp_seconds",
		"When the last complete check of the records found no damage, in seconds since 1970; absent where none has since the start.", []string{"exercise"}, nil)
	refusedCounter = prometheus.NewDesc("tocsin_refused_requests_total",
		"Requests that were refused because of their sender.", nil, nil)
	refusalsGauge = prometheus.NewDesc("tocsin_refusals_alarm",
		"1 while more requests are refused than mistakes explain.", nil, nil)
	recordsGauge = prometheus.NewDesc("tocsin_ledger_records",
		"Records of the ledger so far.", []string{"exercise"}, nil)
	clocksGauge = prometheus.NewDesc("tocsin_clocks",
		"Timers that are set, or due and not handled yet.", []string{"exercise"}, nil)
	aliveGauge = prometheus.NewDesc("tocsin_service_last_alive_timestamp_seconds",
		"When the service was last seen working, in seconds since 1970.", []string{"service", "exercise"}, nil)
	seenGauge = prometheus.NewDesc("tocsin_desk_last_seen_timestamp_seconds",
		"When a screen of the desk was last connected, in seconds since 1970; absent where none ever was.", []string{"desk", "client", "exercise"}, nil)
)

// collectState collects the metrics of the realms and their services.
func (a *App) collectState(to chan<- prometheus.Metric) {
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	type count struct {
		records, clocks uint64
		err             error
	}
	for i, c := range forEachRealm(context.Background(), a.realms, func(ctx context.Context, r *realm) (c count) {
		c.records, c.err = r.bus.Head(ctx)
		if c.err == nil {
			c.clocks, c.err = r.bus.TimerCount(ctx)
		}
		return c
	}) {
		if r := a.realms[i]; c.err == nil {
			sendGauge(to, recordsGauge, float64(c.records), r.exerciseLabel())
			sendGauge(to, clocksGauge, float64(c.clocks), r.exerciseLabel())
			r.collectIndex(to, c.records)
		}
	}
	for _, r := range a.realms {
		if r.ledger == nil {
			continue
		}
		drill := r.exerciseLabel()
		certified, checked := r.ledger.Certified()
		sendGauge(to, damagedGauge, numberOf(len(r.ledger.Damage()) > 0), drill)
		sendGauge(to, certifiedGauge, float64(certified), drill)
		if !checked.IsZero() {
			sendGauge(to, checkedGauge, seconds(checked), drill)
		}
	}
	if who := a.identities; who != nil {
		sendCounter(to, refusedCounter, float64(who.Refusals()))
		sendGauge(to, refusalsGauge, numberOf(who.Alarm()))
	}
	h := a.checkHealth(context.Background(), a.realms)
	for _, s := range h.Services {
		if !s.LastAlive.IsZero() {
			sendGauge(to, aliveGauge, seconds(s.LastAlive), s.Service, strconv.FormatBool(s.Exercise))
		}
	}
	for _, s := range h.Screens {
		if s.SeenAt != nil {
			sendGauge(to, seenGauge, seconds(*s.SeenAt), s.Desk, s.Client, strconv.FormatBool(s.Exercise))
		}
	}
}
