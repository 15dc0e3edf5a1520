package credential

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// ExpiryWarning is how long before it expires a credential or a token is warned of.
const ExpiryWarning = 30 * 24 * time.Hour

// TokensExpire is when the first of the tokens expires that has not yet; nil: none does.
func (h *Holder) TokensExpire(now time.Time) (first *time.Time) {
	for _, t := range h.Tokens {
		if t.Until != nil && t.Until.After(now) && (first == nil || t.Until.Before(*first)) {
			first = t.Until
		}
	}
	return first
}

// Expiry is when a credential or a token of an identity expires.
type Expiry struct {
	Who  string // ROLE/ID
	Kind string // credential or token
	At   time.Time
}

// Expiring lists the credentials that expire within ExpiryWarning or have expired, and
// the tokens that will: of each identity the next.
func (d *Directory) Expiring() (out []Expiry) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	now := clock.System{}.Now()
	for who, h := range d.all {
		if h.Revoked != nil {
			continue
		}
		for _, k := range h.Keys {
			if k.Until == nil && k.Expires != nil && k.Expires.Sub(now) < ExpiryWarning {
				out = append(out, Expiry{who, "credential", *k.Expires})
			}
		}
		if at := h.TokensExpire(now); at != nil && at.Sub(now) < ExpiryWarning {
			out = append(out, Expiry{who, "token", *at})
		}
	}
	return out
}
