package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// identityGauges are what an administrator of the identities must see to.
type identityGauges struct{ app *App }

var (
	faultyGauge = prometheus.NewDesc("tocsin_identity_accounts_faulty",
		"Accounts of identities that cannot be used, as the log names them.", nil, nil)
	expiringGauge = prometheus.NewDesc("tocsin_credentials_expiring",
		"Credentials that expire within 30 days or have expired, and tokens that expire within 30 days.", []string{"kind"}, nil)
	expiryGauge = prometheus.NewDesc("tocsin_credential_expiry_timestamp_seconds",
		"When such a credential or token expires, in seconds since 1970.", []string{"identity", "kind"}, nil)
)

// Describe lists what Collect sends.
func (g identityGauges) Describe(to chan<- *prometheus.Desc) {
	to <- faultyGauge
	to <- expiringGauge
	to <- expiryGauge
}

// Collect reads the gauges; there are none without identities.
func (g identityGauges) Collect(to chan<- prometheus.Metric) {
	who := g.app.identities
	if who == nil {
		return
	}
	to <- prometheus.MustNewConstMetric(faultyGauge, prometheus.GaugeValue, float64(len(who.Faulty())))
	counts := map[string]int{"credential": 0, "token": 0}
	for _, x := range who.Expiring() {
		counts[x.Kind]++
		to <- prometheus.MustNewConstMetric(expiryGauge, prometheus.GaugeValue, float64(x.At.Unix()), x.Who, x.Kind)
	}
	for kind, n := range counts {
		to <- prometheus.MustNewConstMetric(expiringGauge, prometheus.GaugeValue, float64(n), kind)
	}
}
