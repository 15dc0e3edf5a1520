package app

import "github.com/prometheus/client_golang/prometheus"

var (
	freeGauge = prometheus.NewDesc("tocsin_disk_free_bytes",
		"What is free of the disk of the embedded server's streams.", nil, nil)
	reserveGauge = prometheus.NewDesc("tocsin_disk_reserve_bytes",
		"What reports leave free of it: below this they are refused.", nil, nil)
	diskGauge = prometheus.NewDesc("tocsin_disk_alarm",
		"1 while less than four times the reserve is free.", nil, nil)
)

// collectDisk describes the disk of the embedded server; for an outside server there is
// nothing to say.
func (a *App) collectDisk(to chan<- prometheus.Metric) {
	if a.server == nil {
		return
	}
	space, known := a.server.Space()
	if !known {
		return
	}
	sendGauge(to, freeGauge, float64(space.Free))
	sendGauge(to, reserveGauge, float64(space.Reserve))
	sendGauge(to, diskGauge, numberOf(space.Alarm))
}
