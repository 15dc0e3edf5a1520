package httpedge

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Failing tokens are answered with 429 after a while, only for their address, and valid
// tokens are still accepted.
func TestIdentify_FailingTokens(t *testing.T) {
	t.Parallel()
	h := Identify(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), newOne())
	ask := func(address, token string) *http.Response {
		r := httptest.NewRequest("GET", "/v1/log", nil)
		r.RemoteAddr = address
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for range failureBurst {
		require.Equal(t, http.StatusUnauthorized, ask("192.0.2.1:1000", "bad").StatusCode)
	}
	refused := 0
	for range 10 {
		if answer := ask("192.0.2.1:2000", "bad"); answer.StatusCode == http.StatusTooManyRequests {
			require.NotEmpty(t, answer.Header.Get("Retry-After"))
			refused++
		}
	}
	require.NotZero(t, refused)
	require.Equal(t, http.StatusNoContent, ask("192.0.2.1:3000", good).StatusCode, "behind the same address")
	require.Equal(t, http.StatusUnauthorized, ask("192.0.2.77:1000", "bad").StatusCode)
}
