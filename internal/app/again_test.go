package app

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
)

// A service that ends because the engine did not answer in time is run again; one that
// ends for another reason is not.
func TestRestartWhileUnavailable(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ends := []error{fmt.Errorf("read: %w", bus.ErrUnavailable), fmt.Errorf("position: %w", context.DeadlineExceeded), broken}
	runs := 0
	err := restartWhileUnavailable(t.Context(), zap.NewNop(), "classifier", func(context.Context) error {
		runs++
		return ends[runs-1]
	})
	require.Equal(t, broken, err)
	require.Equal(t, len(ends), runs)

	ctx, cancel := context.WithCancel(t.Context())
	err = restartWhileUnavailable(ctx, zap.NewNop(), "classifier", func(context.Context) error {
		cancel()
		return bus.ErrUnavailable
	})
	require.ErrorIs(t, err, bus.ErrUnavailable)
}
