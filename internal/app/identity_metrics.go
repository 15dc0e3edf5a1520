package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	faultyGauge = prometheus.NewDesc("tocsin_identity_accounts_faulty",
		"Accounts of identities that cannot be used, as the log names them.", nil, nil)
	expiringGauge = prometheus.NewDesc("tocsin_credentials_expiring",
		"Credentials that expire within 30 days or have expired, and tokens that expire within 30 days.", []string{"kind"}, nil)
	expiryGauge = prometheus.NewDesc("tocsin_credential_expiry_timestamp_seconds",
		"When such a credential or token expires, in seconds since 1970.", []string{"identity", "kind"}, nil)
)

// collectIdentities shows what an administrator of the identities must see to; there is
// nothing without identities.
func (a *App) collectIdentities(to chan<- prometheus.Metric) {
	who := a.identities
	if who == nil {
		return
	}
	sendGauge(to, faultyGauge, float64(len(who.Faulty())))
	counts := map[string]int{"credential": 0, "token": 0}
	for _, x := range who.Expiring() {
		counts[x.Kind]++
		sendGauge(to, expiryGauge, float64(x.At.Unix()), x.Who, x.Kind)
	}
	for kind, n := range counts {
		sendGauge(to, expiringGauge, float64(n), kind)
	}
}
