package logcmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/natsd"
)

func TestConfirm_RequiresTheWholeWord(t *testing.T) {
	for answer, want := range map[string]bool{"yes\n": true, " yes \n": true, "yes": true, "y\n": false, "no\n": false, "": false, "\n": false} {
		var question bytes.Buffer
		e := environment{&render.Printer{ErrOut: &question}, strings.NewReader(answer)}
		require.Equal(t, want, e.confirm("Remove it?") == nil, "%q", answer)
		require.Equal(t, "Remove it? [yes/no] ", question.String())
	}
	require.False(t, environment{in: strings.NewReader("yes\n")}.asks(), "a pipe is not a person")
}

func TestDescribe_ShowsSubjectAndHashOnly(t *testing.T) {
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	nc, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	stored := evidence.Record{Sequence: 7, Subject: "incident.accepted.mill.flood.r1", Body: []byte(`{"title":"secret"}`)}
	_, err = nc.Subscribe(api.EndpointRecords, func(m *nats.Msg) {
		var q api.RecordsRequest
		a := api.RecordsAnswer{Lines: []string{}}
		if err := json.Unmarshal(m.Data, &q); err != nil {
			t.Error(err)
		}
		if a.First, a.Last = q.From, q.To; q.From == stored.Sequence {
			a.Lines = []string{string(stored.Line())}
		}
		raw, err := json.Marshal(a)
		if err != nil {
			t.Error(err)
		}
		_ = m.Respond(raw)
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	c, err := client.Dial("nats://"+s.Addr(), time.Minute)
	require.NoError(t, err)
	t.Cleanup(c.Close)

	var out bytes.Buffer
	e := environment{&render.Printer{Lang: "en", Out: &out}, nil}
	require.NoError(t, e.describe(t.Context(), c, []uint64{7, 4}))
	require.Equal(t, "#7  incident.accepted.mill.flood.r1  "+stored.Entry().String()+"\n#4  is not in the log\n", out.String())
}
