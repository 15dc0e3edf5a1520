package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-project/tocsin/internal/listener"
)

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

// collectPorts describes the ports, and what was lost behind them.
func (a *App) collectPorts(to chan<- prometheus.Metric) {
	port := func(name string, l *listener.Listener) {
		if l == nil {
			return
		}
		room, late, hasty := l.Closed()
		sendGauge(to, openGauge, float64(l.Open()), name)
		sendCounter(to, closedCounter, float64(room), name, "room")
		sendCounter(to, closedCounter, float64(late), name, "late")
		sendCounter(to, closedCounter, float64(hasty), name, "rate")
	}
	port("http", a.listener)
	if s := a.server; s != nil {
		port("nats", s.Port())
		sendCounter(to, overrunCounter, float64(s.Overruns()))
	}
	for _, r := range a.realms {
		sendCounter(to, lostCounter, float64(r.endpoints.Lost()), r.exerciseLabel())
	}
}
