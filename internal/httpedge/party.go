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

// Party returns the party charged for a request: its identity or, without identities, its
// address; of IPv6 the first 64 bits, which one host may have to itself.
func Party(r *http.Request) string {
	if caller := identity.Of(r.Context()); caller.ID != "" {
		return caller.String()
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

// LimitConcurrency limits concurrent requests to the places in a pool, of which each
// party has its share. It does not count POST requests, whose place is taken once the
// body has arrived, nor the open paths; an answer of [Streams] counts only until it
// begins.
func LimitConcurrency(h http.Handler, slots *share.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || slices.Contains(publicPaths, r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		party := Party(r)
		if err := slots.Take(party, 1); err != nil {
			Write(w, Full(err, "requests are in progress"))
			return
		}
		release := sync.OnceFunc(func() { slots.Give(party, 1) })
		defer release()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), slotKey{}, release)))
	})
}

// slotKey is the context key of the function that frees the place of a request.
type slotKey struct{}

// releaseSlot frees the place that LimitConcurrency took for a request.
func releaseSlot(ctx context.Context) {
	if release, ok := ctx.Value(slotKey{}).(func()); ok {
		release()
	}
}

// Full returns the problem of a request for which a pool has no room: 429 if the party
// has used its share, 503 if the pool is full.
func Full(err error, what string) *Problem {
	if errors.Is(err, share.ErrShare) {
		return NewProblem(http.StatusTooManyRequests, "too many of your "+what+": try again when one has ended")
	}
	return NewProblem(http.StatusServiceUnavailable, "too many "+what+": try again")
}
