package httpedge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/share"
)

func TestParty(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for addr, want := range map[string]string{
		"192.0.2.1:7": "192.0.2.1", "[::ffff:192.0.2.1]:7": "192.0.2.1",
		"[2001:db8:1:2:3::4]:7": "2001:db8:1:2::/64", "[2001:db8:1:2:ffff::1]:8": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
	} {
		r.RemoteAddr = addr
		require.Equal(t, want, Party(r), addr)
	}
	who := identity.Identity{Role: identity.Operator, ID: "a"}
	require.Equal(t, "operator/a", Party(r.WithContext(identity.With(r.Context(), who))))
}

// as sends a request as an operator, in the background, and returns the status.
func as(h http.Handler, operator string) <-chan int {
	status := make(chan int, 1)
	r := httptest.NewRequest(http.MethodGet, "/v1/escalations", nil)
	r = r.WithContext(identity.With(r.Context(), identity.Identity{Role: identity.Operator, ID: operator}))
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		status <- w.Code
	}()
	return status
}

func TestLimitConcurrency_OnePartyLeavesPlaces(t *testing.T) {
	t.Parallel()
	entered, end := make(chan string), make(chan struct{})
	h := LimitConcurrency(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- identity.Of(r.Context()).ID
		<-end
	}), share.NewPool(4))
	var waiting []<-chan int
	for range 2 {
		waiting = append(waiting, as(h, "greedy"))
		<-entered
	}
	require.Equal(t, http.StatusTooManyRequests, <-as(h, "greedy"))
	for _, other := range []string{"b", "c"} {
		waiting = append(waiting, as(h, other))
		require.Equal(t, other, <-entered)
	}
	require.Equal(t, http.StatusServiceUnavailable, <-as(h, "d"))
	close(end)
	for _, status := range waiting {
		require.Equal(t, http.StatusOK, <-status)
	}
}

func TestLimitConcurrency_StreamsLeaveTheirPlace(t *testing.T) {
	t.Parallel()
	places := share.NewPool(1)
	streams := NewStreams(8, time.Now)
	s := start(t, LimitConcurrency(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Send(w, r, "text/plain", func(ctx context.Context, out *Stream) error {
			_ = out.Flush()
			<-ctx.Done()
			return nil
		})
	}), places), nil)
	var open []*http.Response
	for range 4 { // half of them, one after the other in one place
		resp, err := http.Get(s.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		open = append(open, resp)
	}
	resp, body := get(t, "GET", s.URL)
	problemIn(t, resp, body, http.StatusTooManyRequests)
	require.NoError(t, open[0].Body.Close())
	require.Eventually(t, func() bool {
		resp, err := http.Get(s.URL)
		if err != nil {
			return false
		}
		open = append(open, resp)
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 5*time.Millisecond, "its share is free again")
	for _, resp := range open {
		_ = resp.Body.Close()
	}
	require.Eventually(t, func() bool { return places.Used() == 0 && streams.slots.Used() == 0 }, 30*time.Second, time.Millisecond)
}

// readAll returns a handler that reads bodies, like POST /v1/reports, and answers with
// their size.
func readAll(memory *share.Pool, maxBytes int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := ReadBody(w, r, memory, r.Header.Get("Party"), maxBytes)
		defer b.Release()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, len(b.Bytes))
	})
}

func TestReadBody_WholeWhateverItsSize(t *testing.T) {
	t.Parallel()
	memory := share.NewPool(8 << 20)
	s := start(t, readAll(memory, 1<<20), nil)
	post := func(body io.Reader) (int, string) {
		resp, err := http.Post(s.URL, "text/plain", body)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(answer)
	}
	for _, size := range []int{0, 1, uncountedBody - 1, uncountedBody, uncountedBody + 1, 4 * uncountedBody, 1<<20 - 1, 1 << 20} {
		for name, body := range map[string]io.Reader{"length": strings.NewReader(strings.Repeat("x", size)), "chunked": io.MultiReader(strings.NewReader(strings.Repeat("x", size)))} {
			status, answer := post(body)
			require.Equal(t, http.StatusOK, status, name)
			require.Equal(t, fmt.Sprint(size), answer, name)
		}
	}
	for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", 1<<20+1)), io.MultiReader(strings.NewReader(strings.Repeat("x", 2<<20)))} {
		status, answer := post(body)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, answer, "too large")
	}
	require.Zero(t, memory.Used())
}

// TestReadBody_SlowSenders hold only what they have sent, not what they have announced,
// and leave room for others.
func TestReadBody_SlowSenders(t *testing.T) {
	t.Parallel()
	memory := share.NewPool(4 << 20)
	s := start(t, readAll(memory, 16<<20), nil)
	send := func(party string, sent int) net.Conn {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nParty: %s\r\nContent-Length: 16777216\r\n\r\n%s", party, strings.Repeat("x", sent))
		require.NoError(t, err)
		return c
	}
	for range 300 {
		send("slow", 1)
	}
	require.Zero(t, memory.Used())
	for range 40 {
		send("greedy", 60<<10)
	}
	require.Eventually(t, func() bool { return memory.Used() == 2<<20 }, 30*time.Second, time.Millisecond, "half is left")
	refused := send("greedy", 60<<10)
	answer, err := http.ReadResponse(bufio.NewReader(refused), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(strings.Repeat("x", 1<<20)))
	require.NoError(t, err)
	r.Header.Set("Party", "honest")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
