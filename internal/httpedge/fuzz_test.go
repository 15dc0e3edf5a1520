package httpedge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// one is an authority that knows one token.
type one struct {
	*identity.Rates
	refused int
}

func newOne() *one { return &one{Rates: identity.NewRates()} }

const good = "tocsin_GOOD"

func (*one) Bearer(_ context.Context, token string) (identity.Identity, error) {
	if token != good {
		return identity.Identity{}, errors.New("it is not the good one")
	}
	return identity.Identity{Role: identity.Admin, ID: "a"}, nil
}
func (*one) Certificate([]byte) (identity.Identity, bool) { return identity.Identity{}, false }
func (o *one) Refused(string, string, string)             { o.refused++ }
func (*one) Until(ctx context.Context, _ identity.Identity) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// Only a header that contains exactly the token authenticates.
func FuzzIdentify(f *testing.F) {
	f.Add("Bearer "+good, "", "/v1/log", "127.0.0.1:7")
	f.Add("bearer "+good, "Bearer x", "/v1/log", "[::1]:7")
	f.Add("Bearer  "+good, "", "/healthz", "")
	f.Add("Basic "+good, "", "//healthz", "[")
	f.Add("Bearer\t"+good, "", "/healthz/", "]:")
	f.Fuzz(func(t *testing.T, first, second, path, remote string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.RemoteAddr = path, remote
		r.Header["Authorization"] = []string{first}
		if second != "" {
			r.Header["Authorization"] = append(r.Header["Authorization"], second)
		}
		passed, by := false, newOne()
		h := Identify(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }), by)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if slices.Contains(publicPaths, path) {
			return // open paths need no token
		}
		scheme, token, _ := strings.Cut(first, " ")
		may := second == "" && strings.EqualFold(scheme, "bearer") && token == good
		if passed != may || may != (by.refused == 0) || !may && w.Code != http.StatusUnauthorized {
			t.Fatalf("%q, %q for %q: passed %t, %d", first, second, path, passed, w.Code)
		}
	})
}

// Negotiate returns one of the offers or "".
func FuzzNegotiate(f *testing.F) {
	f.Add("application/json;q=0.5, text/csv", `"a", W/"b"`)
	f.Add("*/*;q=NaN", "*")
	f.Add("text/*;q=1e999,;", ",,")
	f.Fuzz(func(t *testing.T, accept, ifNoneMatch string) {
		switch Negotiate(http.Header{"Accept": {accept}}, "application/json", "text/csv") {
		case "application/json", "text/csv", "":
		default:
			t.Fatalf("%q", accept)
		}
		if matchesETag([]string{ifNoneMatch}, `"tag"`) && !strings.Contains(ifNoneMatch, `"tag"`) && !strings.Contains(ifNoneMatch, "*") {
			t.Fatalf("%q names it", ifNoneMatch)
		}
		if p := pathOf(accept); !strings.HasPrefix(p, "$") || len(p) > 12*maxName {
			t.Fatalf("%q is a path", p)
		}
	})
}
