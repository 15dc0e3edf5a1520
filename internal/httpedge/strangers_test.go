package httpedge

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// A flood of unauthenticated requests does not stop health checks from other addresses.
func TestIdentify_UnauthenticatedFlood(t *testing.T) {
	t.Parallel()
	h := Identify(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), newOne())
	ask := func(from string) int {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 10 * identity.RequestRate {
		ask("192.0.2.1:7")
	}
	const fewer = identity.RequestRate // fewer than the allowed burst
	answered := 0
	for range fewer {
		if ask("192.0.2.1:8") == http.StatusOK { // one every 5 ms
			answered++
		}
	}
	require.Less(t, answered, fewer, "another port is no other address")
	require.Equal(t, http.StatusOK, ask("192.0.2.2:7"))
	require.Equal(t, http.StatusOK, ask("[2001:db8::1]:7"))
	require.Equal(t, http.StatusOK, ask("127.0.0.1:7"))
}

// Browsers neither misinterpret nor store an answer.
func TestServer_SecurityHeaders(t *testing.T) {
	t.Parallel()
	h := Server(http.NotFoundHandler()).Handler
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "default-src 'none'; frame-ancestors 'none'", w.Header().Get("Content-Security-Policy"))
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
	require.Equal(t, CacheNever, w.Header().Get("Cache-Control"))
}
