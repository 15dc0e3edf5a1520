package app_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// exchange sends bytes to the HTTP port and returns everything that it answers.
func (s *siege) exchange(request string) string {
	s.t.Helper()
	c := s.dial(s.app.HTTPAddr())
	defer c.Close()
	_, _ = io.WriteString(c, request)
	require.NoError(s.t, c.SetReadDeadline(time.Now().Add(waitLimit)))
	answer, err := io.ReadAll(c)
	require.False(s.t, errors.Is(err, os.ErrDeadlineExceeded), "no answer to %.80q", request)
	return string(answer)
}

// statuses returns the statuses of all answers on a connection.
func statuses(answers string) (out []string) {
	for _, part := range strings.Split(answers, "HTTP/1.1 ")[1:] {
		out = append(out, part[:3])
	}
	return out
}

func (s *siege) requests() {
	operator := "Authorization: Bearer " + s.token(identity.Operator, "xj-hydro") + "\r\n"
	admin := "Authorization: Bearer " + s.admin + "\r\n"
	secrets := s.secrets()
	const end = "Host: x\r\nConnection: close\r\n"
	for _, path := range []string{
		"/v1/log/tile/../../key", "/v1/log/tile/../../../identities", "/v1/log/tile/%2e%2e/%2e%2e/key", "/v1/log/tile/%2e%2e%2f%2e%2e%2fkey", "/v1/log/tile/..%2f..%2f..%2fnats",
		"/v1/log/tile/%00", "/v1/log/tile/0/000%00", "/v1/log/tile/..\\..\\key", "/v1/log/tile//etc/passwd", "/v1/log/tile/0/x001/../../../key", "/v1/log/tile/%252e%252e%252fkey",
		"/../../../../etc/passwd", "//etc/passwd", "///evil.example/%2e%2e", "/%2e%2e/%2e%2e/etc/passwd", "/v1/incidents/../../metrics", "/healthz/../metrics", "/healthz%2f..%2fmetrics", "/healthz/..;/metrics",
		"/v1/log\x00", "/v1/log%0d%0aSet-Cookie:%20a=b", "/v1//%0d%0aSet-Cookie:%20a=b/", "/v1/escalations%0d%0a%0d%0aHTTP/1.1%20200%20OK", "http://evil.example/v1/escalations", "http://evil.example/metrics",
		"//evil.example/v1/stats", "/v1/incidents/%2e%2e/%2e%2e", "/v1/incidents/grid-east/honest-0", "/v1/incidents/%2a/%3e", "/v1/log/records/-1", "/v1/log/records/99999999999999999999", "/v1/log/records/1/../2", "/v1/log/records/2",
		"*", "", "metrics", "/v1/escalations?cursor=" + strings.Repeat("9", 4000), "/metrics?", "/metrics#", "/METRICS", "/v1/exercise/../escalations",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "CONNECT", "OPTIONS", "PROPFIND", "G\x00T"} {
			for _, auth := range []string{"", operator} {
				answers := s.exchange(method + " " + path + " HTTP/1.1\r\n" + auth + end + "\r\n")
				for _, status := range statuses(answers) {
					require.NotContains(s.t, []string{"200", "206"}, status, "%s %q: %.300s", method, path, answers)
					require.True(s.t, status < "500" || status == "501" || status == "505", "%s %q: %.300s", method, path, answers)
				}
				head, _, _ := strings.Cut(answers, "\r\n\r\n")
				require.NotContains(s.t, head, "\r\nSet-Cookie", "%q", path)
				require.NotContains(s.t, head, "\r\nLocation: //", "%q", path)
				require.NotContains(s.t, answers, "root:")
				for _, secret := range secrets {
					require.NotContains(s.t, answers, secret)
				}
			}
		}
	}
	// With a good token: which headers are read otherwise than they were meant.
	const post, chunk = "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\n", "2\r\n{}\r\n0\r\n\r\n"
	const smuggled = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	get := "GET /metrics HTTP/1.1\r\n" + end
	for request, want := range map[string][]string{
		get + admin + "\r\n":         {"200"}, // the measure of the others
		get + admin + admin + "\r\n": {"401"}, get + operator + admin + "\r\n": {"401"}, get + admin + "Authorization:\r\n\r\n": {"401"},
		get + strings.Replace(admin, ":", " :", 1) + "\r\n": {"400"}, get + " " + admin + "\r\n": {"401"}, get + "X Y: z\r\n" + admin + "\r\n": {"400"},
		get + strings.Replace(admin, "\r\n", "\x00\r\n", 1) + "\r\n": {"400"}, get + strings.Replace(admin, "Bearer ", "Bearer  ", 1) + "\r\n": {"401"},
		get + strings.Replace(admin, "\r\n", ", Bearer x\r\n", 1) + "\r\n": {"401"}, get + strings.Replace(admin, "Bearer", "Bearer\r\n", 1) + "\r\n": {"400", "401", "200"}, // an old form of a long line
		get + admin + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n": {"431"}, get + strings.Repeat("X: a\r\n", 200_000) + "\r\n": {"431"},
		get + "X-Forwarded-User: admin\r\nX-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\nForwarded: for=127.0.0.1\r\n\r\n": {"401"},
		"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + admin + "\r\n":                                                         {"400"}, "GET /metrics HTTP/9.9\r\n" + end + admin + "\r\n": {"505"}, "GET /metrics\r\n\r\n": {"400"},
		"GET /metrics HTTP/1.1\r\nConnection: close\r\n" + admin + "\r\n":                              {"400"},
		post + operator + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunk + smuggled: {"400", "400 401"},
		post + operator + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + smuggled:               {"400"},
		post + operator + "Content-Length: -2\r\n\r\n{}" + smuggled:                                    {"400"},
		post + operator + "Content-Length: +2\r\n\r\n{}" + smuggled:                                    {"400"},
		post + operator + "Transfer-Encoding: xchunked\r\n\r\n" + chunk + smuggled:                     {"501"},
		post + operator + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunk + smuggled:            {"501"},
		post + operator + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + chunk:         {"400", "501"},
		post + operator + "Transfer-Encoding : chunked\r\n\r\n" + chunk + smuggled:                     {"400"},
		post + operator + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n" + smuggled:  {"400"},
		post + operator + "Content-Length: 2\r\nConnection: Authorization\r\n\r\n{}" + smuggled:        {"400 401"},
		post + operator + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}" + smuggled:             {"100 400 401"},
		post + operator + "Content-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}" + smuggled:           {"415 401"},
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                             {"505", "401", "400"}, strings.Repeat("\x16\x03\x01\x00", 64) + "\r\n\r\n": {"400"},
	} {
		answers := s.exchange(request)
		require.Contains(s.t, want, strings.Join(statuses(answers), " "), "%.300q: %.300s", request, answers)
	}
	s.requireServed("requests")
}

// secrets are lines of the files with keys.
func (s *siege) secrets() (out []string) {
	require.NoError(s.t, filepath.WalkDir(string(s.folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); len(line) > 40 {
				out = append(out, line)
			}
		}
		return err
	}))
	require.NotEmpty(s.t, out)
	return out
}
