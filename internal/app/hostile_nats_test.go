package app_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// raw is a connection to the NATS port, authenticated or not.
func (s *siege) raw(role identity.Role, id string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c := s.dial(s.app.NATSAddr())
	return c, s.authenticate(c, role, id)
}

// authenticate authenticates a raw connection to the NATS port, unless the role is empty.
func (g *guarded) authenticate(c net.Conn, role identity.Role, id string) *bufio.Reader {
	g.t.Helper()
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	require.NoError(g.t, err)
	if role == "" {
		return in
	}
	var info struct{ Nonce string }
	require.NoError(g.t, json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info))
	file, err := os.ReadFile(g.creds(role, id))
	require.NoError(g.t, err)
	token, err := jwt.ParseDecoratedJWT(file)
	require.NoError(g.t, err)
	pair, err := jwt.ParseDecoratedUserNKey(file)
	require.NoError(g.t, err)
	sig, err := pair.Sign([]byte(info.Nonce))
	require.NoError(g.t, err)
	connect, err := json.Marshal(map[string]any{"jwt": token, "sig": sig, "headers": true, "no_responders": true, "protocol": 1})
	require.NoError(g.t, err)
	_, err = fmt.Fprintf(c, "CONNECT %s\r\nPING\r\n", connect)
	require.NoError(g.t, err)
	for line != "PONG\r\n" {
		line, err = in.ReadString('\n')
		require.NoError(g.t, err, "the server refused a valid credential")
	}
	return in
}

// Invalid frames. The server closes the connection on the first kind, and waits for the
// rest of the second.
func invalidFrames() (closed, half []string) {
	long := strings.Repeat("a", 64<<10)
	closed = []string{
		"\x00\xff\xfe garbage\r\n", "GET / HTTP/1.1\r\n\r\n", "PUB " + long + "\r\n", "SUB " + long + " 1\r\n", long,
		"PUB report.xj-hydro -1\r\n", "PUB report.xj-hydro 99999999999999999999\r\n", "PUB report.xj-hydro 2147483647\r\n", "PUB report.xj-hydro 0x10\r\n",
		"PUB\r\n", "PUB a b c d\r\n", "HPUB report.xj-hydro 100 10\r\n", "HPUB report.xj-hydro -1 5\r\n", "HPUB report.xj-hydro 10\r\n", "HPUB a 5 -5\r\n",
		"SUB\r\n", "SUB a b c d e\r\n", "UNSUB\r\n", "MSG a 1 1\r\nx\r\n", "RMSG $G a 1\r\nx\r\n", "LMSG a 1\r\n", "RS+ a b\r\n", "A+ a\r\n",
		"PUB report.xj-hydro 2\r\n{}garbage\r\n", "CONNECT {\r\n", "CONNECT " + strings.Repeat("[", 2000) + "\r\n", "CONNECT \xff\r\n",
	}
	half = []string{
		"", "P", "PUB report.xj-hydro 100\r\n{", "HPUB report.xj-hydro 100 200\r\nNATS/1.0\r\n", "CONNECT {\"jwt\":\"", "PUB report.xj-hydro 1048576\r\n" + long,
		"PUB report.xj-hydro",
	}
	return closed, half
}

func (s *siege) frames() {
	closed, half := invalidFrames()
	for _, role := range []identity.Role{"", identity.Operator} {
		for _, frame := range closed {
			c, in := s.raw(role, "xj-hydro")
			_, _ = io.WriteString(c, frame) // it may be closed before all is written
			require.NoError(s.t, c.SetReadDeadline(time.Now().Add(waitLimit)))
			_, err := io.Copy(io.Discard, in)
			require.False(s.t, errors.Is(err, os.ErrDeadlineExceeded), "%.60q leaves the connection open", frame)
		}
		for _, frame := range half {
			c, _ := s.raw(role, "xj-hydro")
			_, _ = io.WriteString(c, frame)
		}
	}
	// Complete frames with invalid headers: they are refused, or ignored.
	c, in := s.raw(identity.Operator, "xj-hydro")
	_, _ = io.WriteString(c, "SUB _INBOX.h 1\r\n")
	headers := []string{"NATS/9.9\r\n\r\n", "garbage", "NATS/1.0\r\n", "NATS/1.0\r\nx\r\n\r\n", "NATS/1.0\r\n: \r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0\r\nce-id\x00: \xff\r\n\r\n", "\r\n\r\n"}
	for _, h := range headers {
		_, _ = fmt.Fprintf(c, "HPUB report.xj-hydro _INBOX.h %d %d\r\n%s{}\r\n", len(h), len(h)+2, h)
	}
	_, _ = io.WriteString(c, "PING\r\n")
	for line := ""; line != "PONG\r\n"; {
		var err error
		line, err = in.ReadString('\n')
		require.NoError(s.t, err)
	}
	s.requireServed("frames")
}
