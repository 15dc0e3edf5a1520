package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/listener"
)

// portGauges describe the ports, and what was lost behind them.
type portGauges struct{ app *App }

var (
	openGauge = prometheus.NewDesc("tocsin_connections",
		"Open connections of a port.", []string{"port"}, nil)
	closedCounter = prometheus.NewDesc("tocsin_connections_closed_total",
		"Connections that the server closed: to make room for others, because nobody authenticated in time, or because an address opened too many a second.", []string{"port", "reason"}, nil)
	overrunCounter = prometheus.NewDesc("tocsin_services_overrun_total",
		"Connections of the services that the embedded server cut off because more was sent to them than they could read.", nil, nil)
	lostCounter = prometheus.NewDesc("tocsin_lost_requests_total",
		"Requests that were dropped although their senders wanted no answer, such as reports that were published without a reply subject.", []string{"exercise"}, nil)
)

// Describe lists what Collect sends.
func (g portGauges) Describe(to chan<- *prometheus.Desc) {
	to <- openGauge
	to <- closedCounter
	to <- overrunCounter
	to <- lostCounter
}

// Collect reads the gauges.
func (g portGauges) Collect(to chan<- prometheus.Metric) {
	port := func(name string, l *listener.Listener) {
		if l == nil {
			return
		}
		room, late, hasty := l.Closed()
		to <- prometheus.MustNewConstMetric(openGauge, prometheus.GaugeValue, float64(l.Open()), name)
		to <- prometheus.MustNewConstMetric(closedCounter, prometheus.CounterValue, float64(room), name, "room")
		to <- prometheus.MustNewConstMetric(closedCounter, prometheus.CounterValue, float64(late), name, "late")
		to <- prometheus.MustNewConstMetric(closedCounter, prometheus.CounterValue, float64(hasty), name, "rate")
	}
	port("http", g.app.listener)
	if s := g.app.server; s != nil {
		port("nats", s.Port())
		to <- prometheus.MustNewConstMetric(overrunCounter, prometheus.CounterValue, float64(s.Overruns()))
	}
	for _, r := range g.app.realms {
		drill := "false"
		if r.name == event.Drill {
			drill = "true"
		}
		to <- prometheus.MustNewConstMetric(lostCounter, prometheus.CounterValue, float64(r.endpoints.Lost()), drill)
	}
}
