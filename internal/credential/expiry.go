package credential

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// ExpiryWarning is how long before its expiry a warning for a credential or token begins.
const ExpiryWarning = 30 * 24 * time.Hour

// NextTokenExpiry returns when the next unexpired token expires; nil: none does.
func (h *Holder) NextTokenExpiry(now time.Time) (first *time.Time) {
	for _, t := range h.Tokens {
		if t.Until != nil && t.Until.After(now) && (first == nil || t.Until.Before(*first)) {
			first = t.Until
		}
	}
	return first
}

// Expiry is the expiry of an identity's credential or token.
type Expiry struct {
	Who  string // ROLE/ID
	Kind string // credential or token
	At   time.Time
}

// Expiring returns the credentials that expire within ExpiryWarning or have expired, and
// for each identity the next token to expire within it.
func (d *Directory) Expiring() (out []Expiry) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	now := clock.System{}.Now()
	for holder, h := range d.all {
		if h.Revoked != nil {
			continue
		}
		for _, k := range h.Keys {
			if k.Until == nil && k.Expires != nil && k.Expires.Sub(now) < ExpiryWarning {
				out = append(out, Expiry{holder, "credential", *k.Expires})
			}
		}
		if at := h.NextTokenExpiry(now); at != nil && at.Sub(now) < ExpiryWarning {
			out = append(out, Expiry{holder, "token", *at})
		}
	}
	return out
}
