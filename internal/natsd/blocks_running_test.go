package natsd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spinner has a method, like the engine's blocks.
type spinner struct{ n int }

// spin is busy until it is told to end.
//
//go:noinline
func (s *spinner) spin(end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		default:
			s.n++
		}
	}
}

// TestIsRunning finds a goroutine that is busy in a method, and none after it has ended.
func TestIsRunning(t *testing.T) {
	t.Parallel()
	const method = "natsd.(*spinner).spin"
	require.False(t, isRunning(method))
	end, ended := make(chan struct{}), make(chan struct{})
	began := make(chan struct{})
	go func() {
		defer close(ended)
		close(began)
		new(spinner).spin(end)
	}()
	<-began
	require.Eventually(t, func() bool { return isRunning(method) }, time.Minute, time.Millisecond)
	require.False(t, isRunning("natsd.(*spinner).spi"), "the whole name counts")
	close(end)
	<-ended
	require.False(t, isRunning(method))
}
