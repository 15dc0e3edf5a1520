package app_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The supervisor is told when the process is ready, that it works, and when it stops.
func TestSupervisor_IsNotified(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	told := func(want string) {
		t.Helper()
		require.NoError(t, l.SetReadDeadline(time.Now().Add(waitLimit)))
		for buf := make([]byte, 64); ; {
			n, err := l.Read(buf)
			require.NoError(t, err, "not told %s", want)
			if string(buf[:n]) == want {
				return
			}
		}
	}
	w := startWorld(t)
	told("READY=1")
	told("WATCHDOG=1")
	w.shutdown()
	told("STOPPING=1")
}
