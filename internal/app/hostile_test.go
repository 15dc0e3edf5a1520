package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// siege is the product under attack by clients with and without a credential, while an
// honest operator keeps reporting.
type siege struct {
	*guarded
	admin string // a token
	stop  context.CancelFunc
	ended chan error

	mu       sync.Mutex
	took     []time.Duration // until each receipt of the honest operator
	accepted []uint64        // records of the reports that anybody has a receipt for
	open     []net.Conn      // that are left as they are until the end
}

// honestPause is how long the honest operator waits between two reports: it leaves the
// processors to the attack.
const honestPause = 20 * time.Millisecond

const plain = `"facilities":["dispatch"],"facts":{"systemLoss":"none"}`

func startSiege(t testing.TB) *siege {
	s := &siege{guarded: startGuarded(t, nil), ended: make(chan error, 1)}
	s.admin = s.token(identity.Admin, "admin")
	c := s.as(identity.Operator, "grid-east")
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	t.Cleanup(func() {
		stop()
		for _, c := range s.open {
			_ = c.Close()
		}
	})
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			r, err := c.Report(ctx, "grid-east", cloudEvent("initial", "grid-east", fmt.Sprint("honest-", n), "r1", plain))
			switch {
			case ctx.Err() != nil: // the last one may have been taken
			case err != nil:
				s.ended <- err
				return
			case r.Status != event.StatusAccepted:
				s.ended <- fmt.Errorf("an honest report is %s: %v", r.Status, r.Errors)
				return
			default:
				s.mu.Lock()
				s.took, s.accepted = append(s.took, time.Since(began)), append(s.accepted, r.Record)
				s.mu.Unlock()
				time.Sleep(honestPause)
			}
		}
		s.ended <- nil
	}()
	return s
}

// requireServed requires that honest reports are still accepted; the benchmark measures how
// fast.
func (s *siege) requireServed(after string) {
	s.t.Helper()
	count := func() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.took) }
	before := count()
	require.Eventually(s.t, func() bool { return count() > before+1 }, waitLimit, time.Millisecond, "the honest wait: %s", after)
	s.awaitHealthy(after)
}

// awaitHealthy waits until all services give signs of life.
func (s *siege) awaitHealthy(after string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		status, _ := s.http(http.DefaultClient, s.admin, "GET", "/healthz", "")
		return status == http.StatusOK
	}, waitLimit, 20*time.Millisecond, after)
}

// quantiles of the time to an honest receipt.
func (s *siege) quantiles() (p50, p99 time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := slices.Sorted(slices.Values(s.took))
	return took[len(took)/2], took[len(took)*99/100]
}

func (s *siege) dial(addr string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimPrefix(addr, "nats://"), "http://"))
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, c)
	return c
}

// reply sends a request as a peer, and requires an answer of any kind.
func (s *siege) reply(p *peer, m *nats.Msg) *nats.Msg {
	s.t.Helper()
	answer, err := p.RequestMsg(m, waitLimit)
	require.NoError(s.t, err, "%s with %d bytes: %.40q", m.Subject, len(m.Data), m.Data)
	return answer
}

func (s *siege) receipt(p *peer, m *nats.Msg) (r event.Receipt) {
	s.t.Helper()
	answer := s.reply(p, m)
	require.Empty(s.t, answer.Header.Get("Nats-Service-Error-Code"), "%.60q", m.Data)
	require.NoError(s.t, json.Unmarshal(answer.Data, &r))
	if r.Status == event.StatusAccepted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepted = append(s.accepted, r.Record)
	}
	return r
}

// filler is a payload of any size: what it begins and ends with, and what is repeated
// between them.
type filler struct{ before, unit, after string }

// oversized are payloads that are sent in the largest allowed size: junk, deeply nested,
// and ones that grow when an answer repeats them.
var oversized = []filler{
	{"", "\x00", ""}, {"", "[", ""}, {`{"x":"`, "a", `"}`}, {`{"id":"`, "<", `","subject":"x"}`},
	{`{"subject":"`, "\x7f", `"}`}, {`{"source":"`, "<", `"}`}, {`{"data":{"facilities":["`, `","`, `"]}}`},
	{`{"data":{"facts":{"outage":[`, `{"facility":"<"},`, `{}]}}}`}, {`{"`, `\u0000`, `":1}`},
}

func (f filler) of(size int) []byte {
	return []byte(f.before + strings.Repeat(f.unit, (size-len(f.before)-len(f.after))/len(f.unit)) + f.after)
}

func (s *siege) payloads() {
	const limit, headroom = 1 << 20, 1 << 10
	reporter := s.peer(s.creds(identity.Operator, "xj-hydro"))
	for _, size := range []int{limit - headroom, cloudevent.MaxBytes} {
		for _, payload := range oversized {
			require.Equal(s.t, event.StatusRejected, s.receipt(reporter, &nats.Msg{Subject: "report.xj-hydro", Data: payload.of(size)}).Status)
		}
	}
	for name, value := range map[string]string{"ce-id": "<", "Ce-Subject": "<", "other": "\xff", "Content-Type": "<"} {
		m := &nats.Msg{Subject: "report.xj-hydro", Data: []byte("{}"), Header: nats.Header{name: {strings.Repeat(value, limit-headroom)}}}
		require.Equal(s.t, event.StatusRejected, s.receipt(reporter, m).Status)
	}
	for _, who := range []identity.Identity{known[1], known[3], known[6], known[8]} {
		p := s.peer(s.creds(who.Role, who.ID))
		for _, permit := range identity.Permissions {
			for _, r := range permit.Routes(who, event.Real) {
				if r.Access != identity.Request || permit.Subject == api.EndpointReport {
					continue
				}
				for _, payload := range oversized[:2] {
					raw := payload.of(limit - headroom)
					if permit.Engine != "" {
						require.NoError(s.t, p.Publish(r.Local, raw)) // the engine's own
						continue
					}
					s.reply(p, &nats.Msg{Subject: r.Local, Data: raw})
				}
			}
		}
	}
	c, in := s.raw(identity.Operator, "xj-hydro")
	_, _ = fmt.Fprintf(c, "PUB report.xj-hydro %d\r\n%s\r\n", limit+1, bytes.Repeat([]byte("a"), limit+1))
	said, _ := io.ReadAll(in)
	require.Contains(s.t, string(said), "Maximum Payload Violation")
	token := s.token(identity.Operator, "xj-hydro")
	for _, body := range [][]byte{oversized[6].of(16 << 20), oversized[7].of(1 << 20), bytes.Repeat([]byte("["), 17<<20)} {
		status, answer := s.http(http.DefaultClient, token, "POST", "/v1/reports", string(body))
		require.Contains(s.t, []int{400, 413}, status)
		require.Less(s.t, len(answer), 1<<20)
	}
	s.requireServed("payloads")
}

// crowd opens so many connections, and drops them in several ways.
func (s *siege) crowd(n int) {
	gate := make(chan struct{}, 50)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			addr := []string{strings.TrimPrefix(s.app.NATSAddr(), "nats://"), strings.TrimPrefix(s.app.HTTPAddr(), "http://")}[i%2]
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return // what the machine cannot open harms nobody
			}
			switch i % 6 {
			case 0, 1:
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // HTTP says nothing first
				_, _ = c.Read(make([]byte, 1))
			case 2, 3:
				_, _ = io.WriteString(c, "GET /v1/log HTTP/1.1\r\nHost: x\r\n\r\nPUB x -1\r\n")
			}
			if i%3 == 0 {
				_ = c.(*net.TCPConn).SetLinger(0) // and not even says so
			}
			_ = c.Close()
		})
	}
	wg.Wait()
	s.requireServed("connections")
}

// slow leaves connections behind that read nothing, or write a byte now and then.
func (s *siege) slow() {
	for i := range 8 {
		c, _ := s.raw(identity.Regulator, "nation")
		_, _ = io.WriteString(c, "SUB _INBOX.slow 1\r\n")
		for range 20 {
			_, _ = fmt.Fprintf(c, "PUB ledger.records _INBOX.slow 2\r\n{}\r\n")
		}
		mute := s.dial(s.app.HTTPAddr())
		_, _ = io.WriteString(mute, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 100))
		drop := s.dial(s.app.HTTPAddr())
		go func() {
			for _, b := range []byte("GET /healthz HTTP/1.1\r\nX-Slow: " + strings.Repeat("a", 1000+i)) {
				if _, err := drop.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	s.requireServed("those who do not read")
}

const station = `"facilities":["station-3"],"facts":{"systemLoss":"none"}`

// names are reports whose ids would be subjects, paths or lines of something else.
func (s *siege) names() {
	p := s.peer(s.creds(identity.Operator, "xj-hydro"))
	for i, name := range []string{
		"../../key", "..", ".", "", " ", "*", ">", "a.*.>", "incident.accepted.grid-east", "a.b", "a..b", ".a", "a.", "$JS.API.>", "=" + strings.Repeat("a", 26), "\x00", "a\x00b", "a\r\nNats-Rollup: all", "a\nb", "\u2028", "\u202e",
		"\ufeff", "e\u0301", "\U0010ffff", "'; DROP TABLE postings; --", "=cmd|' /C calc'!A0", "%2e%2e%2f", strings.Repeat("长", 256), strings.Repeat("a", 257), strings.Repeat("a", 1<<20-4096),
	} {
		for _, doc := range []map[string]any{{"id": name, "subject": fmt.Sprint("named-", i)}, {"id": fmt.Sprint("r", i), "subject": name}, {"id": "r1", "subject": fmt.Sprint("source-", i), "source": name + ":xj-hydro"}} {
			full := map[string]any{}
			require.NoError(s.t, json.Unmarshal(cloudEvent("initial", "xj-hydro", "x", "x", station), &full))
			for k, v := range doc {
				full[k] = v
			}
			raw, err := json.Marshal(full)
			require.NoError(s.t, err)
			r := s.receipt(p, &nats.Msg{Subject: "report.xj-hydro", Data: raw})
			require.Contains(s.t, []string{event.StatusAccepted, event.StatusRejected}, r.Status, "%.60q", name)
		}
	}
	s.requireServed("names")
}

// forged are reports with headers that mean something to the engine.
func (s *siege) forged() {
	p := s.peer(s.creds(identity.Operator, "xj-hydro"))
	stream := s.ledger()
	for name, value := range map[string]string{
		"Nats-Msg-Id": "x", "Nats-Expected-Last-Sequence": "1", "Nats-Expected-Last-Subject-Sequence": "7", "Nats-Expected-Stream": "REJECTED", "Nats-Expected-Last-Msg-Id": "x", "Nats-Rollup": "all",
		"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "incident.accepted.grid-east.x.y", "Nats-TTL": "1s", "Nats-Incr": "+1", "Nats-Batch-Id": "x", "Nats-Batch-Sequence": "4711", "Nats-Batch-Commit": "eob",
		"Nats-Trace-Dest": "report.xj-hydro", "Nats-Marker-Reason": "Purge", "Nats-Request-Info": `{"acc":"x"}`, "Nats-Service-Error-Code": "500", "Tocsin-Salt": "x", "Tocsin-Digest": "x", "Status": "503", "Nats-Pending-Messages": "1",
	} {
		without := s.receipt(p, &nats.Msg{Subject: "report.xj-hydro", Data: cloudEvent("initial", "xj-hydro", "plain-"+name, "r1", station)})
		with := s.receipt(p, &nats.Msg{Subject: "report.xj-hydro", Data: cloudEvent("initial", "xj-hydro", "forged-"+name, "r1", station), Header: nats.Header{name: {value}}})
		require.Equal(s.t, []string{event.StatusAccepted, event.StatusAccepted}, []string{without.Status, with.Status}, "%s: %v", name, with.Errors)
		m, err := stream.GetMsg(s.t.Context(), with.Record)
		require.NoError(s.t, err)
		require.NotContains(s.t, m.Header.Values(name), value)
		plain, err := stream.GetMsg(s.t.Context(), without.Record)
		require.NoError(s.t, err)
		for header := range m.Header {
			if strings.HasPrefix(header, "Nats-Batch-") {
				continue // it went together with others: the client library's, with values of its own
			}
			require.Contains(s.t, plain.Header, header)
		}
	}
	s.requireServed("headers")
}

// replayed are reports and acknowledgements that are sent again.
func (s *siege) replayed() {
	owner, other := s.peer(s.creds(identity.Operator, "grid-east")), s.peer(s.creds(identity.Operator, "xj-hydro"))
	raw := threat("replayed")
	first := s.receipt(owner, &nats.Msg{Subject: "report.grid-east", Data: raw})
	require.Equal(s.t, event.StatusAccepted, first.Status, "%v", first.Errors)
	desk := s.as(identity.Desk, "protection-energy")
	var told api.EscalationRow
	require.NoError(s.t, desk.Watch(s.t.Context(), "protection-energy", "wall", 1, time.Now, func(_ *event.Escalated, row api.EscalationRow) error {
		told = row
		return nil
	}))
	ack, err := desk.Acknowledge(s.t.Context(), "protection-energy", told.Escalation, "duty-officer")
	require.NoError(s.t, err)
	require.Equal(s.t, event.StatusAccepted, ack.Status)
	again, thief := s.peer(s.creds(identity.Desk, "protection-energy")), s.peer(s.creds(identity.Desk, "sh-public-security"))
	sent := []byte(`{"escalation":"` + told.Escalation + `","officer":"duty-officer"}`)
	signed := s.sign(identity.Desk, "protection-energy", event.AcknowledgedSubject(told.Escalation), sent)
	for range 20 {
		r := s.receipt(owner, &nats.Msg{Subject: "report.grid-east", Data: raw})
		require.Equal(s.t, []any{event.StatusDuplicate, first.Record}, []any{r.Status, r.Record})
		r = s.receipt(other, &nats.Msg{Subject: "report.xj-hydro", Data: raw})
		require.Equal(s.t, event.StatusRejected, r.Status)
		require.NoError(s.t, other.PublishRequest("report.grid-east", "_INBOX.x", raw))
		var a api.AcknowledgementAnswer
		require.NoError(s.t, json.Unmarshal(s.reply(again, &nats.Msg{Subject: "desk.protection-energy.acknowledge", Header: signed, Data: sent}).Data, &a))
		require.Equal(s.t, []any{event.StatusDuplicate, ack.Record}, []any{a.Status, a.Record})
		a = api.AcknowledgementAnswer{}
		require.NoError(s.t, json.Unmarshal(s.reply(thief, &nats.Msg{Subject: "desk.sh-public-security.acknowledge", Header: signed, Data: sent}).Data, &a))
		require.Equal(s.t, []any{event.StatusRejected, uint64(0)}, []any{a.Status, a.Record})
		require.NoError(s.t, thief.PublishRequest("desk.protection-energy.acknowledge", "_INBOX.x", sent))
	}
	require.NoError(s.t, other.Flush())
	require.NoError(s.t, thief.Flush())
	s.requireServed("replays")
}

// checkRecord ends the siege, and requires an undamaged record with nothing but the reports that
// have a receipt, and what follows from them.
func (s *siege) checkRecord() {
	s.stop()
	require.NoError(s.t, <-s.ended)
	s.awaitHealthy("when all is over")
	head := s.settledHead()
	admin := s.as(identity.Admin, "admin")
	require.Eventually(s.t, func() bool {
		log, err := admin.Log(s.t.Context())
		return err == nil && log.Size >= head
	}, waitLimit, 20*time.Millisecond)
	audit, err := admin.Audit(s.t.Context(), math.MaxUint64) // no check that has ended will do
	require.NoError(s.t, err)
	for next := audit.ID + 1; audit.ID < next || audit.Running; time.Sleep(20 * time.Millisecond) {
		audit, err = admin.Audit(s.t.Context(), next-1)
		require.NoError(s.t, err)
	}
	require.Empty(s.t, audit.Damage)
	require.GreaterOrEqual(s.t, audit.Checked, head)

	of := map[string]bool{} // incidents that were reported
	kinds := map[string]int{}
	records, err := s.ledger().OrderedConsumer(s.t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(s.t, err)
	for seq := uint64(0); seq < head; {
		batch, err := records.FetchNoWait(500)
		require.NoError(s.t, err)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			require.NoError(s.t, err)
			seq = meta.Sequence.Stream
			a := event.ParseSubject(m.Subject())
			require.True(s.t, json.Valid(m.Data()), m.Subject())
			for token := range strings.SplitSeq(strings.TrimPrefix(m.Subject(), "incident."), ".") {
				require.True(s.t, event.IsToken(token), m.Subject())
			}
			switch kinds[a.Kind]++; a.Kind {
			case event.KindAccepted:
				of[a.Operator+"/"+a.Incident] = true
				// The last report of the honest may have been taken when its receipt
				// was no longer waited for.
				require.True(s.t, slices.Contains(s.accepted, seq) || strings.HasPrefix(a.Incident, "honest-"), m.Subject())
			case event.KindRules:
			case event.KindGraded, event.KindEscalated, event.KindElapsed, event.KindAcknowledged:
				require.True(s.t, of[a.Operator+"/"+a.Incident], m.Subject())
			case event.KindRead: // of the admin and the regulators, who may
			default:
				require.Fail(s.t, "nobody wrote this", "%s %s", m.Subject(), m.Data())
			}
		}
	}
	require.LessOrEqual(s.t, len(s.accepted), kinds[event.KindAccepted])
	require.LessOrEqual(s.t, kinds[event.KindAccepted], len(s.accepted)+1)
	require.LessOrEqual(s.t, kinds[event.KindAcknowledged], 1)
}

// attacks are what hostile clients do, with a credential or without.
var attacks = []struct {
	name string
	run  func(s *siege, connections int)
}{
	{"slow", func(s *siege, _ int) { s.slow() }},
	{"frames", func(s *siege, _ int) { s.frames() }},
	{"payloads", func(s *siege, _ int) { s.payloads() }},
	{"names", func(s *siege, _ int) { s.names() }},
	{"forged", func(s *siege, _ int) { s.forged() }},
	{"replayed", func(s *siege, _ int) { s.replayed() }},
	{"requests", func(s *siege, _ int) { s.requests() }},
	{"crowd", func(s *siege, n int) { s.crowd(n) }},
}

// TestHostileClients_HarmNoHonestReport runs each attack beside an honest operator: its reports are
// accepted, and every record is accounted for by a receipt or a service.
func TestHostileClients_HarmNoHonestReport(t *testing.T) {
	t.Parallel()
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			s := startSiege(t)
			attack.run(s, 100)
			s.checkRecord()
		})
	}
}

// BenchmarkHonestUnderAttack measures how long an honest operator waits for its
// receipts during all attacks, with 10,000 connections (1,000 with -short); the bound is
// 100 ms.
func BenchmarkHonestUnderAttack(b *testing.B) {
	connections := 10_000
	if testing.Short() {
		connections = 1_000
	}
	for b.Loop() {
		s := startSiege(b)
		for _, attack := range attacks {
			attack.run(s, connections)
		}
		p50, p99 := s.quantiles()
		b.ReportMetric(float64(p50.Microseconds())/1000, "receipt-p50-ms")
		b.ReportMetric(float64(p99.Microseconds())/1000, "receipt-p99-ms")
		s.checkRecord()
	}
}
