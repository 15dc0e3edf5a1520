package natsd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spinner is of a type with a method, as the engine's blocks are.
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

// TestIsRunning finds a goroutine that works without pause in a method, and none that
// does not run.
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
