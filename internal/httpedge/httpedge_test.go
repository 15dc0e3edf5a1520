package httpedge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// start runs a server like the product's.
func start(t *testing.T, h http.Handler, change func(*http.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = Server(h)
	if change != nil {
		change(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// problemIn reads a problem and checks its form.
func problemIn(t *testing.T, resp *http.Response, body string, status int) Problem {
	t.Helper()
	require.Equal(t, status, resp.StatusCode, body)
	require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	var p Problem
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p), body)
	require.Equal(t, "about:blank", p.Type)
	require.Equal(t, http.StatusText(status), p.Title)
	require.Equal(t, status, p.Status)
	return p
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	offers := []string{"application/json", "application/x-ndjson", "text/csv"}
	for accept, want := range map[string]string{
		"":                                       "application/json",
		"*/*":                                    "application/json",
		"text/csv":                               "text/csv",
		"TEXT/CSV; charset=utf-8":                "text/csv",
		"text/*":                                 "text/csv",
		"application/*":                          "application/json",
		"text/csv, application/json":             "application/json",
		"text/csv;q=0.9, application/json;q=0.5": "text/csv",
		"application/*;q=0.2, */*;q=0.1, application/x-ndjson;q=0.3": "application/x-ndjson",
		"*/*, application/json;q=0":                                  "application/x-ndjson",
		"application/xml":                                            "",
		"text/csv;q=0":                                               "",
		"a, ;;, text/csv":                                            "text/csv",
		"text/csv;q=much":                                            "text/csv",
		"text/html,application/xhtml+xml,*/*;q=0.8":                  "application/json",
	} {
		require.Equal(t, want, Negotiate(http.Header{"Accept": {accept}}, offers...), accept)
	}
	require.Equal(t, "text/csv", Negotiate(http.Header{"Accept": {"text/html", "text/csv"}}, offers...), "of two headers")
}

func TestNegotiateAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := Negotiate(http.Header{"Accept": {rapid.String().Draw(t, "accept")}}, "application/json", "text/csv")
		require.Contains(t, []string{"", "application/json", "text/csv"}, got)
	})
}

func TestContent_NotModified(t *testing.T) {
	t.Parallel()
	s := start(t, http.HandlerFunc(Content{Type: "text/plain", Cache: CacheRevalidate, Body: []byte("abc")}.Answer), nil)
	resp, body := get(t, "GET", s.URL)
	require.Equal(t, "abc", body)
	require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"))
	tag := resp.Header.Get("ETag")
	require.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, tag)
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		resp, body := get(t, "GET", s.URL, "If-None-Match", known)
		require.Equal(t, http.StatusNotModified, resp.StatusCode, known)
		require.Empty(t, body)
		require.Equal(t, tag, resp.Header.Get("ETag"))
		require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"))
	}
	for _, other := range []string{`"x"`, "", strings.Trim(tag, `"`)} {
		resp, _ := get(t, "GET", s.URL, "If-None-Match", other)
		require.Equal(t, http.StatusOK, resp.StatusCode, other)
	}
	resp, body = get(t, "HEAD", s.URL)
	require.Empty(t, body)
	require.EqualValues(t, 3, resp.ContentLength)
	require.Equal(t, tag, resp.Header.Get("ETag"))
}

func TestFallback(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	nothing := func(http.ResponseWriter, *http.Request) {}
	mux.HandleFunc("GET /a/{id}", nothing)
	mux.HandleFunc("POST /b", nothing)
	mux.Handle("/", Fallback(mux))
	s := start(t, mux, nil)
	resp, body := get(t, "DELETE", s.URL+"/a/1")
	require.Equal(t, "allowed methods: GET, HEAD", problemIn(t, resp, body, http.StatusMethodNotAllowed).Detail)
	require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	resp, body = get(t, "GET", s.URL+"/b")
	problemIn(t, resp, body, http.StatusMethodNotAllowed)
	require.Equal(t, "POST", resp.Header.Get("Allow"))
	for _, path := range []string{"/", "/a", "/a/1/2", "/c"} {
		resp, body = get(t, "GET", s.URL+path)
		problemIn(t, resp, body, http.StatusNotFound)
	}
	resp, _ = get(t, "GET", s.URL+"/a/1")
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
}

// hall is an API with one operation that fails as configured.
func hall(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	api := NewAPI(mux, "test", "")
	huma.Register(api, huma.Operation{OperationID: "ask", Method: "GET", Path: "/ask/{n}", Responses: Responses(api, 400, 503)}, func(_ context.Context, in *struct {
		N     uint64 `path:"n" minimum:"1"`
		Limit int    `query:"limit" minimum:"0"`
		Grade string `query:"grade" enum:"major,general"`
		Error string `query:"error"`
	}) (*struct{ Body struct{ A int } }, error) {
		switch in.Error {
		case "faults":
			return nil, InvalidQuery([]fault.Detail{{Path: "$.x", Message: "is wrong"}})
		case "unavailable":
			return nil, NewProblem(http.StatusServiceUnavailable, "later")
		case "other":
			return nil, errors.New("the password is 1234")
		}
		return &struct{ Body struct{ A int } }{}, nil
	})
	mux.Handle("/", Fallback(mux))
	return start(t, mux, nil)
}

func TestEveryErrorIsAProblem(t *testing.T) {
	t.Parallel()
	s := hall(t)
	resp, body := get(t, "GET", s.URL+"/ask/1?limit=2&grade=major")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.JSONEq(t, `{"A":0}`, body, "and no $schema")
	for _, c := range []struct {
		path   string
		status int
		errors []string
	}{
		{"/ask/0", 400, []string{"$.n: expected number >= 1"}},
		{"/ask/x?limit=-1&grade=huge", 400, []string{"$.grade: expected value to be one of \"major, general\"", "$.limit: expected number >= 0", "$.n: invalid integer"}},
		{"/ask/1?limits=1&wat", 400, []string{"$.limits: is not a known parameter", "$.wat: is not a known parameter"}},
		{"/ask/1?a%20b=1", 400, []string{`$["a b"]: is not a known parameter`}},
		{"/ask/1?limit=1&limit=2", 400, []string{"$.limit: is given more than once"}},
		{"/ask/1?limit=%zz", 400, []string{`$: the query cannot be read: invalid URL escape "%zz"`}},
		{"/ask/1?error=faults", 400, []string{"$.x: is wrong"}},
		{"/ask/1?error=unavailable", 503, nil},
		{"/ask/1?error=other", 500, nil},
		{"/ask", 404, nil},
	} {
		resp, body := get(t, "GET", s.URL+c.path)
		p := problemIn(t, resp, body, c.status)
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Path+": "+e.Message)
		}
		require.Equal(t, c.errors, got, c.path)
		require.NotContains(t, body, "password")
		require.NotContains(t, body, "goroutine")
		require.Equal(t, c.status == 503, resp.Header.Get("Retry-After") != "", c.path)
	}
	resp, body = get(t, "PUT", s.URL+"/ask/1")
	problemIn(t, resp, body, http.StatusMethodNotAllowed)
	resp, body = get(t, "GET", s.URL+"/ask/1?error=faults", "Accept", "text/csv")
	problemIn(t, resp, body, http.StatusBadRequest)

	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, "&x%d=1", i)
	}
	resp, body = get(t, "GET", s.URL+"/ask/1?a=1"+many.String())
	require.Len(t, problemIn(t, resp, body, http.StatusBadRequest).Errors, maxErrors)
}

func TestDescription(t *testing.T) {
	t.Parallel()
	s := hall(t)
	resp, body := get(t, "GET", s.URL+"/openapi.json")
	require.Equal(t, "application/openapi+json", resp.Header.Get("Content-Type"))
	require.Contains(t, body, `"openapi":"3.1.0"`)
	resp, _ = get(t, "GET", s.URL+"/openapi.json", "If-None-Match", resp.Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, resp.StatusCode)
	_, body = get(t, "GET", s.URL+"/openapi.yaml")
	require.Contains(t, body, "openapi: 3.1.0\n")
	for _, page := range []string{"/docs", "/schemas/Problem.json"} {
		resp, body := get(t, "GET", s.URL+page)
		problemIn(t, resp, body, http.StatusNotFound)
	}
}

// A stream outlives the read and write timeouts. The test retries with longer timeouts,
// because a busy machine may not even begin to answer within short ones.
func TestStream_OutlivesDeadlines(t *testing.T) {
	t.Parallel()
	for limit := 100 * time.Millisecond; !outlives(t, limit); limit *= 4 {
		require.Less(t, limit, 10*time.Second)
	}
}

func outlives(t *testing.T, limit time.Duration) bool {
	t.Helper()
	streams := NewStreams(1, time.Now)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Send(w, r, "text/plain", func(ctx context.Context, out *Stream) error {
			for i := range 6 {
				if _, err := fmt.Fprintln(out, i); err != nil {
					return err
				}
				if err := out.Flush(); err != nil {
					return err
				}
				select {
				case <-time.After(limit / 2):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}), func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = limit, limit })
	resp, err := http.Get(s.URL)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	return string(body) == "0\n1\n2\n3\n4\n5\n"
}

func TestStream_ErrorAbortsConnection(t *testing.T) {
	t.Parallel()
	streams := NewStreams(1, time.Now)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Send(w, r, "text/plain", func(_ context.Context, out *Stream) error {
			if _, err := io.WriteString(out, "half"); err != nil {
				return err
			}
			return errors.Join(out.Flush(), errors.New("no more"))
		})
	}), nil)
	resp, err := http.Get(s.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "half", string(body))

	// HTTP/1.0 cannot signal an aborted stream.
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	old, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer old.Body.Close()
	require.Equal(t, http.StatusHTTPVersionNotSupported, old.StatusCode)
}

func TestStreams_LimitAndShutdown(t *testing.T) {
	t.Parallel()
	streams := NewStreams(1, time.Now)
	ended := make(chan error, 2)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Send(w, r, "text/plain", func(ctx context.Context, out *Stream) error {
			_ = out.Flush()
			<-ctx.Done()
			ended <- r.Context().Err()
			return nil
		})
	}), nil)
	head, body := get(t, "HEAD", s.URL)
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Empty(t, body)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	require.NoError(t, err)
	first, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer first.Body.Close()
	resp, body := get(t, "GET", s.URL)
	problemIn(t, resp, body, http.StatusServiceUnavailable)
	require.Equal(t, "1", resp.Header.Get("Retry-After"))

	cancel() // the client disconnects
	require.ErrorIs(t, <-ended, context.Canceled)
	second := make(chan *http.Response, 1)
	require.Eventually(t, func() bool {
		resp, err := http.Get(s.URL)
		if err != nil || resp.StatusCode != http.StatusOK {
			return false
		}
		second <- resp
		return true
	}, 30*time.Second, 5*time.Millisecond, "its place is free again")

	// The server stops: the stream ends cleanly, though its request is still open.
	last, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.Config.Shutdown(last))
	require.NoError(t, <-ended)
	resp = <-second
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
}

// A peer that does not read blocks nobody beyond its time limit.
func TestStream_PeerDoesNotRead(t *testing.T) {
	t.Parallel()
	past := func() time.Time { return time.Now().Add(100*time.Millisecond - writeTimeout) }
	streams := NewStreams(1, past)
	ended := make(chan error, 1)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Send(w, r, "text/plain", func(_ context.Context, out *Stream) (err error) {
			defer func() { ended <- err }()
			for err == nil {
				if _, err = out.Write(make([]byte, 1<<20)); err == nil {
					err = out.Flush()
				}
			}
			return err
		})
	}), nil)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
	case <-time.After(time.Minute):
		t.Fatal("it still waits")
	}
}

func TestWrite_KeepsTheCallersHeaders(t *testing.T) {
	t.Parallel()
	for preset, want := range map[string]string{"": retryAfter, "60": "60"} {
		w := httptest.NewRecorder()
		if preset != "" {
			w.Header().Set("Retry-After", preset)
		}
		Write(w, NewProblem(http.StatusServiceUnavailable, "writing\nis frozen"))
		require.Equal(t, want, w.Header().Get("Retry-After"))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Contains(t, w.Body.String(), `"detail":"writing is frozen"`, "a detail is one line")
	}
}
