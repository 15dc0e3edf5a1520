package bus

import (
	"context"
	"errors"
	"time"
)

// readTries are the timeouts of the tries of one read. A lost answer costs the first; the
// last allows for a slow disk.
var readTries = []time.Duration{tryTimeout, tryTimeout, 5 * time.Second}

// again retries a request to the engine while it times out. The request must be
// idempotent.
func again[T any](ctx context.Context, ask func(context.Context) (T, error)) (answer T, err error) {
	for _, timeout := range readTries {
		try, cancel := context.WithTimeout(ctx, timeout)
		answer, err = ask(try)
		cancel()
		if ctx.Err() != nil || !isTimeout(err) {
			return answer, err
		}
	}
	return answer, errors.Join(ErrUnavailable, err)
}
