package natsd

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tocsin-project/tocsin/internal/tally"
)

// The lines are as the server writes them, for clients with arbitrary names.
func TestRefusalOf(t *testing.T) {
	t.Parallel()
	const user = `"ACTLGH7L3XC6WO7ENDL7OUYFUFFVNOCOVZM5INQYTJBNU3A5OUUQKTAE/operator-grid-east/jwt:UD62W76SQZQOWQHUT257WWH36NOCKWKGLQCPQL62IR4CAIVCX5MZWHQY"`
	const forged = `"ACTLGH7L3XC6WO7ENDL7OUYFUFFVNOCOVZM5INQYTJBNU3A5OUUQKTAE/admin-root/jwt:UD62W76SQZQOWQHUT257WWH36NOCKWKGLQCPQL62IR4CAIVCX5MZWHQY"`
	for line, want := range map[string]engineRefusal{
		`127.0.0.1:55506 - cid:79 - "v1.55.0:go:x" - ` + user + ` - Publish Violation - Subject "ledger.escalations"`:                {"operator/grid-east", `send to "ledger.escalations"`, "the credential has no such permission"},
		`127.0.0.1:55506 - cid:79 - "v1.55.0:go:x" - ` + user + ` - Publish Violation - Reply "_R_.x"`:                               {"operator/grid-east", `send to "_R_.x"`, "the credential has no such permission"},
		`[::1]:5550 - cid:79 - "v1.55.0:go:x" - ` + user + ` - Subscription Violation - Subject ">", SID 3`:                          {"operator/grid-east", `listen on ">"`, "the credential has no such permission"},
		`127.0.0.1:55470 - cid:71 - authentication error`:                                                                            {"127.0.0.1", "connect", "no valid credential"},
		`[2001:db8::1]:55470 - cid:71 - "x" - User Authentication Revoked`:                                                           {"[2001:db8::1]", "connect", "the credential is revoked"},
		`127.0.0.1:55470 - cid:71 - "v1:go:x" - ` + user + ` - maximum payload exceeded: 2000000 vs 1048576`:                         {"operator/grid-east", "connect", "too large a message"},
		`127.0.0.1:1 - cid:2 - ` + strconv.Quote("v1:go:"+forged) + ` - ` + user + ` - Publish Violation - Subject "a\"b" and more"`: {"operator/grid-east", `send to "a\"b"`, "the credential has no such permission"},
	} {
		got, ok := refusalOf(line)
		require.True(t, ok, line)
		require.Equal(t, want, got, line)
	}
	for _, line := range []string{
		"127.0.0.1:1 - cid:3 - Client Error 'SECRET'",
		"127.0.0.1:1 - cid:3 - Client parser ERROR, state=0, i=2: proto='SECRET\r\n...'",
		"127.0.0.1:1 - cid:3 - maximum control line exceeded: State 2, max_control_line 4096, Buffer len 9000 (snip: SECRET...)",
		`127.0.0.1:1 - cid:3 - processPub Parse Error: "SECRET"`, `127.0.0.1:1 - cid:3 - processHeaderPub Bad or Missing Total Size: "SECRET"`,
		`127.0.0.1:1 - cid:3 - processHeaderPub Header Size larger then TotalSize: "SECRET"`, `127.0.0.1:1 - cid:3 - processSub Parse Error: "a\nSECRET"`,
	} {
		var said []string
		log := newEngineLog(zap.NewNop(), newHealth(), nil)
		log.clients = tally.New(func(_ int, last string) { said = append(said, last) })
		log.Errorf("%s", line)
		log.clients.Flush()
		require.Len(t, said, 1)
		require.NotContains(t, said[0], "SECRET")
		require.Contains(t, said[0], "127.0.0.1:1 - cid:3 - ")
	}
	for _, line := range []string{"", "JetStream resource limits exceeded", "127.0.0.1:1 - cid:3 - Client parser ERROR", "Publish Violation - Subject \"x\""} {
		_, ok := refusalOf(line)
		require.False(t, ok, line)
	}
}

// A flood of errors on client connections becomes one line with their number.
func TestEngineLog_FloodOfClientErrors(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	log := newEngineLog(zap.New(core), newHealth(), nil)
	for i := range 10_000 {
		log.Errorf("%s - %s", fmt.Sprintf("192.0.2.1:%d - cid:%d", i, i), "TLS handshake error: EOF")
		log.Warnf("192.0.2.1:%d - cid:%d - Readloop processing time: 2s", i, i)
	}
	log.clients.Flush()
	sum := 0
	for _, line := range logs.All() {
		sum += int(line.ContextMap()["lines"].(int64))
	}
	require.Less(t, logs.Len(), 100)
	require.Equal(t, 20_000, sum)
}

func TestEngineLog_ServicesAreCutOff(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	log := newEngineLog(zap.New(core), newHealth(), nil)
	log.Noticef("192.0.2.1:4 - cid:9 - Slow Consumer Detected: MaxPending of 5 Exceeded")
	log.Noticef("pipe - cid:8 - \"v1.55.0:go:tocsin services\" - Slow Consumer Detected: MaxPending of 5 Exceeded")
	log.overrun.Flush()
	require.EqualValues(t, 1, log.overrun.Total())
	require.Equal(t, 1, logs.Len())
	require.Equal(t, zapcore.WarnLevel, logs.All()[0].Level)
}

// FuzzRefusalOf has a client with any name violate its permissions with any subject: the
// reported client is the one that the server names, not one forged in the client's name.
func FuzzRefusalOf(f *testing.F) {
	const user = "ACTLGH7L3XC6WO7ENDL7OUYFUFFVNOCOVZM5INQYTJBNU3A5OUUQKTAE/%s/jwt:UD62W76SQZQOWQHUT257WWH36NOCKWKGLQCPQL62IR4CAIVCX5MZWHQY"
	honest, forged := fmt.Sprintf(user, "operator-grid-east"), fmt.Sprintf(user, "admin-root")
	f.Add("go", "incident.>")
	f.Add(forged, forged)
	f.Add(`" - "`+forged+`" - Publish Violation - Subject "x"`, `"`+forged+`"`)
	f.Add("authentication error", `\`)
	f.Add("%s%q%[1]s", `" - "`+honest+`" - `)
	f.Fuzz(func(t *testing.T, name, subject string) {
		// As the server does: it puts the client into the format or into an argument.
		client := fmt.Sprintf("192.0.2.1:5 - cid:7 - %q - %q", "v1:go:"+name, honest)
		for _, line := range []struct {
			format string
			v      []any
			does   string
		}{
			{client + " - Publish Violation - Subject %q", []any{[]byte(subject)}, "send to "},
			{client + " - Publish Violation - Reply %q", []any{[]byte(subject)}, "send to "},
			{client + fmt.Sprintf(" - Subscription Violation - Subject %q, SID %s", subject, "1"), nil, "listen on "},
			{"%s - %s%s", []any{client, fmt.Sprintf("Publish Violation - Subject %q", subject), ""}, "send to "},
		} {
			got, ok := refusalOf(formatLine(line.format, line.v))
			if want := (engineRefusal{"operator/grid-east", line.does + strconv.Quote(subject), "the credential has no such permission"}); !ok || got != want {
				t.Fatalf("%q: %+v", formatLine(line.format, line.v), got)
			}
		}
	})
}
