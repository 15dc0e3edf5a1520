package httpedge

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
)

// Party names whose share of what is limited a request uses: that of its identity, or,
// without identities, that of its address; of IPv6 the first 64 bits, which one host
// may have to itself.
func Party(r *http.Request) string {
	if who := identity.Of(r.Context()); who.ID != "" {
		return who.String()
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := peer.Addr().Unmap()
	if addr.Is6() {
		network, _ := addr.WithZone("").Prefix(64) // every IPv6 address has one
		return network.String()
	}
	return addr.String()
}

// InShares answers at most as many requests at a time as there are places, of which
// each party has its share. It counts no request to report, whose place is taken once
// its body has arrived, nor how the process is; and an answer of [Streams] no longer
// than until it begins.
func InShares(h http.Handler, places *share.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || slices.Contains(open, r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		party := Party(r)
		if err := places.Take(party, 1); err != nil {
			Fail(w, Full(err, "requests are in hand"))
			return
		}
		leave := sync.OnceFunc(func() { places.Give(party, 1) })
		defer leave()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, leave)))
	})
}

// placeKey finds what gives back the place of a request.
type placeKey struct{}

// leavePlace gives back the place that a request has by InShares.
func leavePlace(ctx context.Context) {
	if leave, ok := ctx.Value(placeKey{}).(func()); ok {
		leave()
	}
}

// Full is the problem of a request for which a pool has no room: 429 where the party
// uses its share, 503 where all of it is in use.
func Full(err error, what string) *Problem {
	if errors.Is(err, share.ErrShare) {
		return NewProblem(http.StatusTooManyRequests, "too many of your "+what+": try again when one has ended")
	}
	return NewProblem(http.StatusServiceUnavailable, "too many "+what+": try again")
}
