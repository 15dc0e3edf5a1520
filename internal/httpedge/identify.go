package httpedge

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Authority authenticates callers.
type Authority interface {
	// Bearer returns the owner of a token (RFC 6750), or why there is none, which is for
	// the log only.
	Bearer(ctx context.Context, token string) (identity.Identity, error)
	// Certificate returns the owner of a verified certificate, by its public key.
	Certificate(spki []byte) (identity.Identity, bool)
	// Allow reports whether a caller may send another request now.
	Allow(caller string) bool
	// Refused records that a request was refused.
	Refused(caller, request, reason string)
	// Until returns a context that also ends when the identity loses its permissions.
	Until(ctx context.Context, caller identity.Identity) (context.Context, context.CancelFunc)
}

// maxLogged bounds what a refusal repeats of a request, which the sender chooses.
const maxLogged = 100 // characters

// publicPaths are the paths that need no identity: health and the API's description.
var publicPaths = []string{"/healthz", "/readyz", "/openapi.json", "/openapi.yaml"}

// Identify authenticates the caller before h answers. Without an authority every caller
// is identity.Anyone.
func Identify(h http.Handler, authority Authority) http.Handler {
	if authority == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			markAuthenticated(r.Context())
			h.ServeHTTP(w, r.WithContext(identity.With(r.Context(), identity.Anyone)))
		})
	}
	failures := new(failures)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, why, reason := authenticate(r, authority)
		if why == "" {
			markAuthenticated(r.Context())
		}
		if slices.Contains(publicPaths, r.URL.Path) && (why == "" || r.Header.Get("Authorization") == "") {
			if why != "" && !authority.Allow(anonymousBucket(r)) {
				authority.Refused(senderAddress(r), printable.Truncate(r.Method+" "+r.URL.Path, maxLogged), "too many unauthenticated requests")
				tooMany(w, "too many unauthenticated requests")
				return
			}
			h.ServeHTTP(w, r.WithContext(identity.With(r.Context(), caller)))
			return
		}
		what := printable.Truncate(r.Method+" "+r.URL.Path, maxLogged)
		if why != "" {
			authority.Refused(senderAddress(r), printable.Truncate(r.Method, maxLogged), reason) // the sender chooses the path
			if r.Header.Get("Authorization") != "" && !failures.allow(senderAddress(r)) {
				tooMany(w, "too many tokens from this address have failed")
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="tocsin"`)
			Write(w, NewProblem(http.StatusUnauthorized, why))
			return
		}
		if !authority.Allow(caller.String()) {
			authority.Refused(caller.String(), what, "too many requests")
			tooMany(w, fmt.Sprintf("more than %d requests a second", identity.RequestRate))
			return
		}
		ctx, release := authority.Until(identity.With(r.Context(), caller), caller)
		defer release()
		recorder := &statusRecorder{ResponseWriter: w}
		h.ServeHTTP(recorder, r.WithContext(ctx))
		switch recorder.status {
		case http.StatusForbidden:
			authority.Refused(caller.String(), what, "no permission")
		case http.StatusTooManyRequests:
			authority.Refused(caller.String(), what, "too many at once")
		case http.StatusRequestEntityTooLarge:
			authority.Refused(caller.String(), what, "it is too large")
		}
	})
}

// tooMany answers that a sender must wait.
func tooMany(w http.ResponseWriter, detail string) {
	w.Header().Set("Retry-After", retryAfter)
	Write(w, NewProblem(http.StatusTooManyRequests, detail))
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the flusher.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// authenticate returns the caller, or why it is unknown, as a text for the caller and
// one for the log.
func authenticate(r *http.Request, authority Authority) (caller identity.Identity, why, reason string) {
	refused := func(why string) (identity.Identity, string, string) { return caller, why, why }
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
			return refused("give one Authorization header: Bearer and a token")
		}
		caller, err := authority.Bearer(r.Context(), token)
		if err != nil {
			return caller, "the token is unknown or was revoked", err.Error()
		}
		return caller, "", ""
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		caller, ok := authority.Certificate(r.TLS.VerifiedChains[0][0].RawSubjectPublicKeyInfo)
		if !ok {
			return refused("no identity has this certificate")
		}
		return caller, "", ""
	}
	return refused("authentication required: send Authorization: Bearer and a token, or a client certificate")
}

// senderAddress returns the address of an unidentified sender.
func senderAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// limitBuckets is the number of rate limits that unidentified senders are distributed
// over.
const limitBuckets = 256

// anonymousBucket returns the name of the rate limit for an unidentified sender: several
// addresses share one. A flood from one address must not stop health checks from other
// addresses.
func anonymousBucket(r *http.Request) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(senderAddress(r))) // never fails
	return fmt.Sprintf("stranger %d", h.Sum32()%limitBuckets)
}

// Require refuses an operation to callers without permission for its endpoint. An
// operation with the endpoint "" is refused to everybody.
func Require(api huma.API, endpointOf func(operation string) string) {
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		caller, endpoint := identity.Of(ctx.Context()), endpointOf(ctx.Operation().OperationID)
		if endpoint == "" || !caller.May(identity.Request, endpoint) {
			p := NewProblem(http.StatusForbidden, fmt.Sprintf("%s has no permission for this", caller))
			ctx.SetStatus(p.Status)
			ctx.SetHeader("Content-Type", problemType)
			_ = api.Marshal(ctx.BodyWriter(), problemType, p)
			return
		}
		next(ctx)
	})
}
