package cli

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// fake is a server without services: a test plays the endpoints that it needs.
type fake struct {
	t    *testing.T
	nc   *nats.Conn
	addr string
	// answering is held while an endpoint answers: the test reads what the answer notes
	// after the command has ended.
	answering sync.Mutex
}

func startFake(t *testing.T) *fake {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	nc, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return &fake{t: t, nc: nc, addr: "nats://" + s.Addr()}
}

// serve answers requests on a subject.
func serve[Q any](f *fake, subject string, answer func(Q) any) {
	f.t.Helper()
	_, err := f.nc.Subscribe(subject, func(m *nats.Msg) {
		f.answering.Lock()
		var q Q
		if err := json.Unmarshal(m.Data, &q); err != nil {
			f.t.Error(err)
		}
		raw, err := json.Marshal(answer(q))
		if err != nil {
			f.t.Error(err)
		}
		f.answering.Unlock()
		_ = m.Respond(raw)
	})
	require.NoError(f.t, err)
	require.NoError(f.t, f.nc.Flush())
}

// answered makes what the answers have noted visible to the test.
func (f *fake) answered() {
	f.answering.Lock()
	defer f.answering.Unlock()
}

// run runs a command line against the fake.
func (f *fake) run(args ...string) (code int, out, errOut string) {
	f.t.Helper()
	defer f.answered()
	return tocsin(f.t, "", append([]string{"--lang", "en"}, append(args, "--server", f.addr, "--timeout", "5s")...)...)
}
