package app

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-project/tocsin/internal/event"
)

// collector sends metrics at each scrape. It describes none beforehand: which there are
// depends on what runs.
type collector func(to chan<- prometheus.Metric)

// Describe implements prometheus.Collector.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) { c(to) }

func sendGauge(to chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func sendCounter(to chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}

// numberOf returns 1 for true and 0 for false, as gauges show them.
func numberOf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// exerciseLabel returns the value of the label "exercise" for the realm.
func (r *realm) exerciseLabel() string { return strconv.FormatBool(r.name == event.Drill) }
