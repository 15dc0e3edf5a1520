package cli

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary act as the program: a child with TOCSIN_CHILD runs its
// command line, so that it can be killed. With TOCSIN_CURL it is the curl of the
// documents.
func TestMain(m *testing.M) {
	if os.Getenv("TOCSIN_CHILD") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	if os.Getenv("TOCSIN_CURL") != "" {
		os.Exit(curl(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// tocsin runs a command line in the process and returns what it printed.
func tocsin(t testing.TB, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

// server is a tocsin serve that runs as a child process.
type server struct {
	t          testing.TB
	dir        string
	nats, http string // HOST:PORT
	args       []string
	cmd        *exec.Cmd
	log        *os.File
}

// startServer starts a server on free ports and waits until it is ready.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), args: args}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	require.NoError(t, err)
	s.log = log
	t.Cleanup(func() {
		if s.cmd != nil && s.cmd.Process != nil {
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			_ = s.cmd.Wait()
		}
		_ = log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("server log:\n%s", b)
		}
	})
	for range 5 {
		s.nats, s.http = freePort(t), freePort(t)
		if s.isUp() {
			return s
		}
		said, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		require.Contains(t, string(said), "address already in use", "the server ended before it was ready")
	}
	require.Fail(t, "every port was taken before the server had it")
	return nil
}

// start starts it again with the same folder and addresses.
func (s *server) start() {
	s.t.Helper()
	require.True(s.t, s.isUp(), "the server ended before it was ready")
}

// isUp starts it and reports whether it is ready, or has ended.
func (s *server) isUp() bool {
	s.t.Helper()
	exe, err := os.Executable()
	require.NoError(s.t, err)
	s.cmd = exec.Command(exe, append([]string{"serve", "--data", filepath.Join(s.dir, "data"), "--nats-listen", s.nats, "--http-listen", s.http}, s.args...)...)
	s.cmd.Env = append(os.Environ(), "TOCSIN_CHILD=1")
	out, err := s.cmd.StderrPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.cmd.Start())
	ready := make(chan bool, 1)
	go func() {
		var seen bytes.Buffer
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			_, _ = s.log.Write(buf[:n])
			if seen.Len() < 64<<10 {
				seen.Write(buf[:n])
			}
			if strings.Contains(seen.String(), "\nready\n") {
				select {
				case ready <- true:
				default:
				}
			}
			if err != nil {
				close(ready)
				return
			}
		}
	}()
	select {
	case ok := <-ready:
		if !ok {
			_ = s.cmd.Wait()
		}
		return ok
	case <-time.After(time.Minute):
		s.t.Fatal("the server was not ready within a minute")
		return false
	}
}

// kill ends the server as a power failure would.
func (s *server) kill() {
	require.NoError(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
}

func (s *server) url() string { return "nats://" + s.nats }

// freePort returns an address that nobody listens on. Its port is below those that
// systems assign to connections, of which other tests open thousands: one of them could
// take it before the server does.
func freePort(t testing.TB) string {
	t.Helper()
	const from, to = 10_000, 30_000
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(from+rand.IntN(to-from)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	require.Fail(t, "no port is free")
	return ""
}
