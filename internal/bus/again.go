package bus

import (
	"context"
	"errors"
	"time"
)

// readTries are how long the tries of one question to the engine wait for an answer. A
// lost answer costs the first; the last is for a slow disk.
var readTries = []time.Duration{tryTimeout, tryTimeout, 5 * time.Second}

// again asks the engine, once more for as long as it does not answer. The question must
// change nothing that asking twice would change again.
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
