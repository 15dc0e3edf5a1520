package natsd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// A connection of the services that is not read for a while gets everything that others
// publish, and the engine does not cut it off: a party that sends much is throttled, and
// another one is not.
func TestThrottle_ServicesReadSlowly(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	defer s.Stop()

	services, err := s.s.InProcessConn()
	require.NoError(t, err)
	defer services.Close()
	in := bufio.NewReader(services)
	info, err := in.ReadSlice('\n')
	require.NoError(t, err)
	id := clientID(info)
	require.NotZero(t, id)
	_, err = io.WriteString(services, "CONNECT {\"verbose\":false}\r\nSUB flood 1\r\nPING\r\n")
	require.NoError(t, err)
	pong, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "PONG\r\n", pong)
	s.throttle.watch(func() int { return s.throttle.pending(id) })

	const messages, size = 48, 1 << 20
	sent := make(chan error, 1)
	go func() {
		nc, err := nats.Connect("nats://" + s.Addr())
		if err == nil {
			defer nc.Close()
			for range messages {
				if err = nc.Publish("flood", bytes.Repeat([]byte("a"), size)); err != nil {
					break
				}
			}
			err = nc.FlushTimeout(30 * time.Second)
		}
		sent <- err
	}()
	require.Eventually(t, func() bool { return s.throttle.unread() > maxUnread }, 30*time.Second, time.Millisecond, "the flood must be throttled")
	require.Less(t, s.throttle.unread(), maxUnread+2*size)

	elsewhere := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := nats.Connect("nats://"+s.Addr(), nats.SetCustomDialer(elsewhere))
	require.NoError(t, err)
	defer other.Close()
	for range 20 {
		require.NoError(t, other.Publish("flood", nil))
		require.NoError(t, other.FlushTimeout(30*time.Second))
	}
	require.Greater(t, s.throttle.unread(), maxUnread, "another party is read meanwhile")

	frame := fmt.Sprintf("MSG flood 1 %d\r\n", size)
	_, err = io.CopyN(io.Discard, in, messages*int64(len(frame)+size+len("\r\n"))+20*int64(len("MSG flood 1 0\r\n\r\n")))
	require.NoError(t, err, "every message arrives")
	require.NoError(t, <-sent)
	require.Zero(t, s.Overruns())
}
