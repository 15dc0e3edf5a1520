package httpedge

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// Authority authenticates callers.
type Authority interface {
	// Bearer returns the owner of a token (RFC 6750), or why there is none, which is for
	// the log only.
	Bearer(ctx context.Context, token string) (identity.Identity, error)
	// Certificate returns the owner of a verified certificate, by its public key.
	Certificate(spki []byte) (identity.Identity, bool)
	// Allow reports whether a caller may send another request now.
	Allow(who string) bool
	// Refused records that a request was refused, and why.
	Refused(who, what, why string)
	// Until returns a context that also ends when the identity loses its permissions.
	Until(ctx context.Context, who identity.Identity) (context.Context, context.CancelFunc)
}

// open are the paths that need no identity: health and the API's description.
var open = []string{"/healthz", "/readyz", "/openapi.json", "/openapi.yaml"}

// Identify authenticates the caller before h answers. Without an authority every caller
// is identity.Anyone.
func Identify(h http.Handler, by Authority) http.Handler {
	if by == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proved(r.Context())
			h.ServeHTTP(w, r.WithContext(identity.With(r.Context(), identity.Anyone)))
		})
	}
	failures := new(failures)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, why, reason := whoAsks(r, by)
		if why == "" {
			proved(r.Context())
		}
		if slices.Contains(open, r.URL.Path) && (why == "" || r.Header.Get("Authorization") == "") {
			if why != "" && !by.Allow(stranger(r)) {
				by.Refused(from(r), short(r.Method+" "+r.URL.Path), "too many ask this")
				w.Header().Set("Retry-After", retryAfter)
				Write(w, Problem{Status: http.StatusTooManyRequests, Detail: "too many ask this"})
				return
			}
			h.ServeHTTP(w, r.WithContext(identity.With(r.Context(), who)))
			return
		}
		what := short(r.Method + " " + r.URL.Path)
		if why != "" {
			by.Refused(from(r), short(r.Method), reason) // the sender chooses the path
			if r.Header.Get("Authorization") != "" && !failures.allow(from(r)) {
				w.Header().Set("Retry-After", retryAfter)
				Write(w, Problem{Status: http.StatusTooManyRequests, Detail: "too many tokens from this address have failed"})
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="tocsin"`)
			Write(w, Problem{Status: http.StatusUnauthorized, Detail: why})
			return
		}
		if !by.Allow(who.String()) {
			by.Refused(who.String(), what, "too many requests")
			w.Header().Set("Retry-After", retryAfter)
			Write(w, Problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("more than %d requests a second", identity.AskRate)})
			return
		}
		ctx, release := by.Until(identity.With(r.Context(), who), who)
		defer release()
		noted := &noted{ResponseWriter: w}
		h.ServeHTTP(noted, r.WithContext(ctx))
		switch noted.status {
		case http.StatusForbidden:
			by.Refused(who.String(), what, "may not")
		case http.StatusTooManyRequests:
			by.Refused(who.String(), what, "too many at once")
		case http.StatusRequestEntityTooLarge:
			by.Refused(who.String(), what, "it is too large")
		}
	})
}

// noted is a ResponseWriter that records the status.
type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	if n.status == 0 {
		n.status = status
	}
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the flusher.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// short truncates foreign text for a log line.
func short(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// whoAsks returns the caller, or why it is unknown, as a text for the caller and one for
// the log.
func whoAsks(r *http.Request, by Authority) (who identity.Identity, why, reason string) {
	refused := func(why string) (identity.Identity, string, string) { return who, why, why }
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
			return refused("give one Authorization header: Bearer and a token")
		}
		who, err := by.Bearer(r.Context(), token)
		if err != nil {
			return who, "the token is unknown or was revoked", err.Error()
		}
		return who, "", ""
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		who, ok := by.Certificate(r.TLS.VerifiedChains[0][0].RawSubjectPublicKeyInfo)
		if !ok {
			return refused("nobody has this certificate")
		}
		return who, "", ""
	}
	return refused("say who asks: Authorization: Bearer and a token, or a client certificate")
}

// from returns the address of an unidentified sender.
func from(r *http.Request) string {
	host, _, _ := strings.Cut(r.RemoteAddr, "]")
	if i := strings.LastIndex(host, ":"); i > 0 && !strings.HasPrefix(host, "[") {
		host = host[:i]
	}
	return strings.TrimPrefix(host, "[")
}

// shares is the number of rate limits that unidentified senders are distributed over.
const shares = 256

// stranger returns the name of the rate limit for an unidentified sender: several
// addresses share one. A flood from one address must not stop health checks from other
// addresses.
func stranger(r *http.Request) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(from(r))) // never fails
	return fmt.Sprintf("stranger %d", h.Sum32()%shares)
}

// Require refuses an operation to callers without permission for its door. An operation
// with the door "" is refused to everybody.
func Require(api huma.API, doorOf func(operation string) string) {
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		who, door := identity.Of(ctx.Context()), doorOf(ctx.Operation().OperationID)
		if door == "" || !who.May(identity.Ask, door) {
			p := NewProblem(http.StatusForbidden, fmt.Sprintf("%s may not ask for this", who))
			ctx.SetStatus(p.Status)
			ctx.SetHeader("Content-Type", problemType)
			_ = api.Marshal(ctx.BodyWriter(), problemType, p)
			return
		}
		next(ctx)
	})
}
