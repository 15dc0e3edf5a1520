package app

import "github.com/prometheus/client_golang/prometheus"

// diskGauges describe the disk of the embedded server.
type diskGauges struct{ app *App }

var (
	freeGauge = prometheus.NewDesc("tocsin_disk_free_bytes",
		"What is free of the disk of the embedded server's streams.", nil, nil)
	reserveGauge = prometheus.NewDesc("tocsin_disk_reserve_bytes",
		"What reports leave free of it: below this they are refused.", nil, nil)
	diskGauge = prometheus.NewDesc("tocsin_disk_alarm",
		"1 while less than four times the reserve is free.", nil, nil)
)

// Describe lists what Collect sends.
func (g diskGauges) Describe(to chan<- *prometheus.Desc) {
	to <- freeGauge
	to <- reserveGauge
	to <- diskGauge
}

// Collect reads the gauges; for an outside server there are none.
func (g diskGauges) Collect(to chan<- prometheus.Metric) {
	if g.app.server == nil {
		return
	}
	space, known := g.app.server.Space()
	if !known {
		return
	}
	alarm := 0.0
	if space.Alarm {
		alarm = 1
	}
	to <- prometheus.MustNewConstMetric(freeGauge, prometheus.GaugeValue, float64(space.Free))
	to <- prometheus.MustNewConstMetric(reserveGauge, prometheus.GaugeValue, float64(space.Reserve))
	to <- prometheus.MustNewConstMetric(diskGauge, prometheus.GaugeValue, alarm)
}
