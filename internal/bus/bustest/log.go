package bustest

import (
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logTo returns a logger that writes errors to the log of a test. Lines logged after the
// test has ended, such as the last report of a tally, are dropped: the testing package
// would panic.
func logTo(t testing.TB) *zap.Logger {
	w := &testLog{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t = nil
	})
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zap.ErrorLevel))
}

type testLog struct {
	mu sync.Mutex
	t  testing.TB // nil after the test
}

// Write logs one line.
func (w *testLog) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("%s", line)
	}
	return len(line), nil
}
