package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-project/tocsin/internal/event"
)

// warnings returns problems that an administrator should see to although reports are
// taken and passed on.
func (r *realm) warnings() (out []string) {
	if r.ledger == nil {
		return nil
	}
	name := ""
	if r.name == event.Drill {
		name = " of drills"
	}
	if err := r.ledger.CertificationFailure(); err != nil {
		out = append(out, fmt.Sprintf("the record%s is not certified at the moment: %v", name, err))
	}
	if err := r.ledger.IndexFailure(); err != nil {
		out = append(out, fmt.Sprintf("the index%s cannot be used, and queries wait: %v", name, err))
	} else if r.ledger.IsIndexBehind() {
		out = append(out, fmt.Sprintf("the index%s is far behind: it has %d records", name, r.ledger.Indexed()))
	}
	return out
}

var (
	indexUpGauge = prometheus.NewDesc("tocsin_index_up",
		"1 while the index answers queries; 0 while it is opened again or rebuilt.", []string{"exercise"}, nil)
	indexBehindGauge = prometheus.NewDesc("tocsin_index_behind_records",
		"Records that the index lacks.", []string{"exercise"}, nil)
)

// collectIndex collects the metrics of a realm's index.
func (r *realm) collectIndex(to chan<- prometheus.Metric, head uint64) {
	if r.ledger == nil {
		return
	}
	sendGauge(to, indexUpGauge, numberOf(r.ledger.IndexFailure() == nil), r.exerciseLabel())
	behind := head - min(head, r.ledger.Indexed())
	sendGauge(to, indexBehindGauge, float64(behind), r.exerciseLabel())
}
