package app

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/services/deadline"
)

// pulseAge is how old the last sign of life of a service may be: it gives one
// every second.
const pulseAge = 5 * time.Second

// Health is how this process is. It is what /healthz and /readyz answer, with
// 200 where Status is "ok" and 503 otherwise.
type Health struct {
	Status   string          `json:"status"` // ok, or what is wrong
	Services []ServiceHealth `json:"services"`
	Screens  []ScreenHealth  `json:"screens,omitempty"` // of desks, where the clocks run here
}

// ServiceHealth is when a service was last seen working.
type ServiceHealth struct {
	Service   string    `json:"service"`
	Exercise  bool      `json:"exercise"`
	LastAlive time.Time `json:"lastAlive"`
	Alive     bool      `json:"alive"`
}

// ScreenHealth is when a desk's connection was last there.
type ScreenHealth struct {
	event.Screen
	Exercise bool `json:"exercise"`
}

// health answers whether this process works (/healthz), whether it can take
// work (/readyz: it works, is connected, and the ledger answers), and what can
// be counted (/metrics).
func (a *App) health(mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, h Health) {
		status := http.StatusOK
		if h.Status != "ok" {
			status = http.StatusServiceUnavailable
		}
		httpedge.JSON(w, status, h)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, a.Health(r.Context())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		h := a.Health(r.Context())
		for _, realm := range a.realms {
			if _, err := realm.bus.Head(r.Context()); err != nil && h.Status == "ok" {
				h.Status = "the ledger does not answer"
			}
		}
		answer(w, h)
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{a})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

// Health looks at every service of this process and at the desks' screens.
func (a *App) Health(ctx context.Context) Health {
	h := Health{Status: "ok"}
	now := clock.System{}.Now()
	for _, realm := range a.realms {
		drill := realm.name == event.Drill
		pulse := realm.bus.Pulse()
		for _, r := range roles {
			if !a.has(r.name) {
				continue
			}
			at := pulse[r.name]
			s := ServiceHealth{Service: r.name, Exercise: drill, LastAlive: at, Alive: now.Sub(at) <= pulseAge}
			if !s.Alive && h.Status == "ok" {
				h.Status = r.name + " gives no sign of life"
			}
			h.Services = append(h.Services, s)
		}
		if !a.has(deadline.Name) {
			continue
		}
		for _, s := range realm.screens(ctx, a.nc) {
			h.Screens = append(h.Screens, ScreenHealth{Screen: s, Exercise: drill})
		}
	}
	if !a.nc.IsConnected() {
		h.Status = "not connected to NATS"
	}
	return h
}

// gauges are read when they are asked for.
type gauges struct{ app *App }

var (
	aliveGauge = prometheus.NewDesc("tocsin_service_last_alive_timestamp_seconds",
		"When the service was last seen working, in seconds since 1970.", []string{"service", "exercise"}, nil)
	seenGauge = prometheus.NewDesc("tocsin_desk_last_seen_timestamp_seconds",
		"When a screen of the desk was last there, in seconds since 1970; absent where it never was.", []string{"desk", "client", "exercise"}, nil)
)

// Describe lists what Collect sends.
func (g gauges) Describe(to chan<- *prometheus.Desc) {
	to <- aliveGauge
	to <- seenGauge
}

// Collect reads the gauges.
func (g gauges) Collect(to chan<- prometheus.Metric) {
	label := map[bool]string{false: "false", true: "true"}
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	h := g.app.Health(context.Background())
	for _, s := range h.Services {
		if !s.LastAlive.IsZero() {
			to <- prometheus.MustNewConstMetric(aliveGauge, prometheus.GaugeValue, seconds(s.LastAlive), s.Service, label[s.Exercise])
		}
	}
	for _, s := range h.Screens {
		if s.SeenAt != nil {
			to <- prometheus.MustNewConstMetric(seenGauge, prometheus.GaugeValue, seconds(*s.SeenAt), s.Desk, s.Client, label[s.Exercise])
		}
	}
}
