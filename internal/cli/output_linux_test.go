package cli

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestServe_OutputReader_GoneOrStalled runs servers whose output nobody reads once they
// are ready, and makes them log more than the pipe holds.
func TestServe_OutputReader_GoneOrStalled(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(r *os.File){
		"gone":    func(r *os.File) { _ = r.Close() },
		"stalled": func(*os.File) {},
	} {
		for _, command := range []string{"serve", "demo"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				read, write, err := os.Pipe()
				require.NoError(t, err)
				defer read.Close()
				_, err = unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096)
				require.NoError(t, err)
				nats, web := freePort(t), freePort(t)
				exe, err := os.Executable()
				require.NoError(t, err)
				cmd := exec.Command(exe, command, "--data", t.TempDir(), "--nats-listen", nats, "--http-listen", web)
				cmd.Env = append(os.Environ(), "TOCSIN_CHILD=1")
				cmd.Stdout, cmd.Stderr = write, write
				require.NoError(t, cmd.Start())
				require.NoError(t, write.Close())
				lines := bufio.NewScanner(read)
				for lines.Scan() && lines.Text() != "ready" {
				}
				require.NoError(t, lines.Err())
				after(read)
				for range 100 { // the engine logs each
					conn, err := net.Dial("tcp", nats)
					require.NoError(t, err)
					_, _ = conn.Write([]byte(strings.Repeat("no command ", 10) + "\r\n"))
					_, _ = conn.Read(make([]byte, 1<<10)) // the engine's greeting
					_ = conn.Close()
				}
				answer, err := http.Get("http://" + web + "/healthz")
				require.NoError(t, err, "the server still answers")
				_ = answer.Body.Close()
				require.Equal(t, http.StatusOK, answer.StatusCode)
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				select {
				case err := <-ended:
					require.NoError(t, err, "the server ends as it was told to")
				case <-time.After(time.Minute):
					_ = cmd.Process.Kill()
					require.Fail(t, "the server did not end")
				}
			})
		}
	}
}
