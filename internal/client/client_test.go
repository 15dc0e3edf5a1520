package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/natsd"
)

// connect starts a server without services, whose answers the test gives, and connects a
// client to it.
func connect(t *testing.T, timeout time.Duration) (*nats.Conn, *client.Client) {
	t.Helper()
	nc, addr := startServer(t)
	c, err := client.Dial(addr, timeout)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return nc, c
}

// waitLimit is how long to wait for something that must happen, even on a busy machine.
const waitLimit = 60 * time.Second

// withGrowingTimeout retries with a client of growing timeout until done: a busy machine may
// answer late.
func withGrowingTimeout(t *testing.T, addr string, done func(c *client.Client) bool) {
	t.Helper()
	for timeout := 200 * time.Millisecond; ; timeout *= 2 {
		require.Less(t, timeout, waitLimit)
		if c, err := client.Dial(addr, timeout); err == nil {
			finished := done(c)
			c.Close()
			if finished {
				return
			}
		}
	}
}

// startServer starts a server without any responders, and returns its address.
func startServer(t *testing.T) (*nats.Conn, string) {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	nc, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, "nats://" + s.Addr()
}

// playing is held while an answer is made; heard makes what the answers have noted
// visible to the test.
var playing sync.Mutex

func heard() {
	playing.Lock()
	defer playing.Unlock()
}

// play answers requests on a subject; nil is an answer that permits another attempt.
func play(t *testing.T, nc *nats.Conn, subject string, answer func(*nats.Msg) any) {
	t.Helper()
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		playing.Lock()
		v := answer(m)
		playing.Unlock()
		if v == nil {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{endpoint.HeaderErrorCode: {"503"}, endpoint.HeaderError: {"busy: try again"}}})
			return
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		_ = m.Respond(raw)
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
}

func raw(id string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"source":"https://example.com/operators/grid-east","subject":"x"}`, id)
}

// A lost answer does no harm: the same report is sent again, unchanged.
func TestReport_Retries(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var tries atomic.Int32
	play(t, nc, "report.grid-east", func(m *nats.Msg) any {
		if string(m.Data) != string(raw("a")) || m.Header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("sent %q %v", m.Data, m.Header)
		}
		if tries.Add(1) < 3 {
			return nil
		}
		return event.Receipt{Status: event.StatusDuplicate, Report: "a"}
	})
	r, err := c.Report(t.Context(), "", raw("a")) // the operator is read from the source
	require.NoError(t, err)
	require.Equal(t, event.StatusDuplicate, r.Status)
	require.EqualValues(t, 3, tries.Load())
}

// A server that accepts nothing until a person has intervened is asked once, and its
// message is the error.
func TestReport_FrozenServerIsNotRetried(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, time.Minute)
	var tries atomic.Int32
	for _, subject := range []string{"report.grid-east", api.EndpointArchive, api.EndpointQuery} {
		_, err := nc.Subscribe(subject, func(m *nats.Msg) {
			tries.Add(1)
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{endpoint.HeaderErrorCode: {"423"}, endpoint.HeaderError: {"the record ends too early"}}})
		})
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	_, report := c.Report(t.Context(), "grid-east", raw("a"))
	_, query := c.Query(t.Context(), api.Query{}, 0, nil)
	reports := c.Reports(t.Context(), "", 1, feed(1), nil)
	for _, err := range []error{report, query, reports, c.TryArchive(t.Context(), api.ArchiveRequest{})} {
		require.EqualError(t, err, "the server refused the request: the record ends too early")
		require.NotErrorIs(t, err, client.ErrUnreachable)
	}
	require.EqualValues(t, 4, tries.Load())
}

func TestSourceOperator(t *testing.T) {
	for text, want := range map[string]string{
		string(raw("a")): "grid-east",
		`{"source":"urn:tocsin:operator:xj-hydro"}`: "xj-hydro",
		`{"source":"plain"}`:                        "plain",
		`{"source":""}`:                             "unregistered",
		`{"source":"https://example.com/"}`:         "unregistered",
		`{}`:                                        "unregistered",
		`not even JSON`:                             "unregistered",
		`{"source":5}`:                              "unregistered",
		`{"source":"urn:tocsin:operator:grid-east"`:    "unregistered",
		`{"source":"urn:tocsin:operator:华东 电网","x":1}`: "华东 电网",
	} {
		require.Equal(t, want, client.SourceOperator([]byte(text)), text)
	}
}

func TestReport_Timeout(t *testing.T) {
	t.Parallel()
	nc, addr := startServer(t)
	report := func(c *client.Client) error {
		_, err := c.Report(t.Context(), "", raw("a"))
		require.ErrorIs(t, err, client.ErrUnreachable)
		return err
	}
	withGrowingTimeout(t, addr, func(c *client.Client) bool { return report(c) != nil }) // no responder
	play(t, nc, "report.grid-east", func(*nats.Msg) any { return nil })
	withGrowingTimeout(t, addr, func(c *client.Client) bool {
		return strings.Contains(report(c).Error(), "busy") // reports the last answer
	})
	_, err := client.Dial("nats://127.0.0.1:1", 200*time.Millisecond)
	require.ErrorIs(t, err, client.ErrUnreachable)
}

func TestReport_InvalidAnswerIsNotRetried(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	play(t, nc, "report.grid-east", func(*nats.Msg) any { return "words" })
	_, err := c.Report(t.Context(), "grid-east", raw("a"))
	require.Error(t, err)
	require.NotErrorIs(t, err, client.ErrUnreachable)
	r, err := c.Report(t.Context(), "grid-east", append(raw("a"), make([]byte, 5<<20)...))
	require.NoError(t, err)
	require.Equal(t, event.StatusRejected, r.Status, "what no connection can carry is refused here")
	require.Contains(t, r.Errors[0].Message, "at most 262144 are taken")
}

func feed(n int) func(func([]byte) error) error {
	return func(yield func([]byte) error) error {
		for i := range n {
			if err := yield(raw(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	}
}

// Receipts come in the order of the reports, in whatever order the answers come; and no
// more than the window is in flight.
func TestReports_KeepOrder(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	const window = 8
	var under, most atomic.Int32
	_, err := nc.Subscribe("report.*", func(m *nats.Msg) {
		most.Store(max(most.Load(), under.Add(1)))
		go func() {
			var e struct{ ID string }
			_ = json.Unmarshal(m.Data, &e)
			time.Sleep(time.Duration(len(e.ID)%3) * time.Millisecond) // some are slower
			under.Add(-1)
			_ = m.Respond(fmt.Appendf(nil, `{"status":"accepted","report":%q}`, e.ID))
		}()
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	got := 0
	err = c.Reports(t.Context(), "", window, feed(300), func(r *event.Receipt) error {
		require.Equal(t, fmt.Sprint(got), r.Report)
		got++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 300, got)
	require.LessOrEqual(t, most.Load(), int32(window+1))
}

func TestReports_EndAtFirstFailure(t *testing.T) {
	t.Parallel()
	nc, addr := startServer(t)
	play(t, nc, "report.*", func(m *nats.Msg) any {
		var e struct{ ID string }
		_ = json.Unmarshal(m.Data, &e)
		if e.ID == "5" {
			return nil
		}
		return event.Receipt{Status: event.StatusAccepted, Report: e.ID}
	})
	got := 0
	count := func(*event.Receipt) error { got++; return nil }
	withGrowingTimeout(t, addr, func(c *client.Client) bool {
		got = 0
		require.ErrorIs(t, c.Reports(t.Context(), "", 4, feed(50), count), client.ErrUnreachable)
		require.LessOrEqual(t, got, 5)
		return got == 5 // answers before the failure are handed over
	})

	broken := errors.New("broken")
	c, err := client.Dial(addr, waitLimit)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.ErrorIs(t, c.Reports(t.Context(), "", 4, func(yield func([]byte) error) error {
		if err := yield(raw("a")); err != nil {
			return err
		}
		return broken
	}, count), broken)
	require.Equal(t, 6, got, "what was read before the fault is answered too")
	require.ErrorIs(t, c.Reports(t.Context(), "", 4, feed(4), func(*event.Receipt) error { return broken }), broken)
}

// Pages are fetched one after another, up to the limit.
func TestQuery_ReadsAllPages(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	const rows = 25
	play(t, nc, api.EndpointQuery, func(m *nats.Msg) any {
		var q api.Query
		_ = json.Unmarshal(m.Data, &q)
		if q.Grade == "huge" {
			return api.QueryAnswer{Errors: []fault.Detail{{Path: "$.grade", Message: "unknown"}}}
		}
		from := 0
		_, _ = fmt.Sscan(q.Cursor, &from)
		page := 10
		if q.Limit > 0 {
			page = min(page, q.Limit)
		}
		var a api.QueryAnswer
		for ; from < rows && len(a.Rows) < page; from++ {
			a.Rows = append(a.Rows, api.EscalationRow{Revision: from})
		}
		if from < rows {
			a.Next = fmt.Sprint(from)
		}
		return a
	})
	for limit, want := range map[int]struct {
		rows   int
		cursor string
	}{0: {25, ""}, 3: {3, "3"}, 10: {10, "10"}, 20: {20, "20"}, 25: {25, ""}, 99: {25, ""}} {
		got := 0
		cursor, err := c.Query(t.Context(), api.Query{}, limit, func(r api.EscalationRow) error {
			require.Equal(t, got, r.Revision)
			got++
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, want.rows, got, "limit %d", limit)
		require.Equal(t, want.cursor, cursor, "limit %d", limit)
	}
	_, err := c.Query(t.Context(), api.Query{Grade: "huge"}, 0, nil)
	require.Equal(t, "$.grade", fault.DetailsOf(err)[0].Path)
	stop := errors.New("stop")
	_, err = c.Query(t.Context(), api.Query{}, 0, func(api.EscalationRow) error { return stop })
	require.ErrorIs(t, err, stop)
}

func TestShow_ReadsAllPages(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	play(t, nc, api.EndpointShow, func(m *nats.Msg) any {
		var q api.ShowRequest
		_ = json.Unmarshal(m.Data, &q)
		if q.Incident != "x" {
			return api.ShowAnswer{Errors: []fault.Detail{{Path: "$", Message: "no"}}}
		}
		return api.ShowAnswer{Entries: []api.StoryEntry{{Record: q.After + 1, Body: jsontext.Value("{}")}}, More: q.After < 4}
	})
	var got []uint64
	show := func(e api.StoryEntry) error { got = append(got, e.Record); return nil }
	require.NoError(t, c.Show(t.Context(), "grid-east", "x", show))
	require.Equal(t, []uint64{1, 2, 3, 4, 5}, got)
	require.ErrorContains(t, c.Show(t.Context(), "grid-east", "y", show), "no")
}

// TestReport_CallerCancels: without that, this would take a day.
func TestReport_CallerCancels(t *testing.T) {
	t.Parallel()
	_, c := connect(t, 24*time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.Acknowledge(ctx, "hall", "hall.a.b.1", "duty-officer")
	require.Error(t, err)
}

// TestDial_ServerStartsLater dials an address where first a listener hangs up and then
// nobody listens.
func TestDial_ServerStartsLater(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	type dialed struct {
		c   *client.Client
		err error
	}
	result := make(chan dialed, 1)
	go func() {
		c, err := client.Dial("nats://"+l.Addr().String(), time.Minute)
		result <- dialed{c, err}
	}()
	conn, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, l.Close())
	s, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: l.Addr().String(), Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	d := <-result
	require.NoError(t, d.err, "the first connection is tried for as long as timeout lasts")
	d.c.Close()
}

func TestDial_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.DialContext(ctx, event.Real, "nats://127.0.0.1:1", time.Hour)
	require.ErrorIs(t, err, client.ErrUnreachable)
}

func TestDial_InvalidAddressIsNotRetried(t *testing.T) {
	t.Parallel()
	_, err := client.Dial("nats://127.0.0.1:port", time.Hour)
	require.Error(t, err)
}
