package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

const general = `"facilities":["station-3"],"facts":{"systemLoss":"none"}`

// neighbours are an honest operator with its desk, and a greedy operator.
type neighbours struct {
	*guarded
	ctx    context.Context
	token  string   // of the greedy one
	greedy net.Addr // from where it connects

	mu       sync.Mutex
	took     []time.Duration      // until each receipt of the honest one
	told     []time.Duration      // from each sending to the desk
	sent     map[string]time.Time // by incident, what the desk has not been told of yet
	refusals []string
}

func (n *neighbours) remember(incident string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent[incident] = time.Now()
}

func (n *neighbours) answered(incident, status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if status != event.StatusAccepted {
		n.refusals = append(n.refusals, status)
		delete(n.sent, incident)
		return
	}
	if at, open := n.sent[incident]; open {
		n.took = append(n.took, time.Since(at))
	}
}

// watch notes the escalations that the desk receives.
func (n *neighbours) watch() {
	_ = n.as(identity.Desk, "protection-water").Watch(n.ctx, "protection-water", "wall", 0, time.Now, func(_ *event.Escalated, row api.EscalationRow) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if at, open := n.sent[row.Incident]; open {
			n.told = append(n.told, time.Since(at))
			delete(n.sent, row.Incident)
		}
		return nil
	})
}

// honest sends reports in sequence, over NATS and over HTTP, for a time.
func (n *neighbours) honest(name string, lasts time.Duration) {
	token := n.tokenOf("xj-hydro")
	creds, err := nats.Connect(n.app.NATSAddr(), nats.UserCredentials(n.creds(identity.Operator, "xj-hydro")))
	require.NoError(n.t, err)
	defer creds.Close()
	web := &http.Client{Timeout: 10 * time.Second}
	for i, end := 0, time.Now().Add(lasts); time.Now().Before(end); i++ {
		for _, by := range []string{"nats", "http"} {
			incident := fmt.Sprintf("%s-%s-%d", name, by, i)
			raw := cloudEvent("initial", "xj-hydro", incident, "r1", general)
			var r event.Receipt
			n.remember(incident)
			if by == "nats" {
				m := &nats.Msg{Subject: "report.xj-hydro", Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: raw}
				reply, err := creds.RequestMsg(m, 10*time.Second)
				if err != nil {
					r.Status = err.Error()
				} else if r.Status = reply.Header.Get("Nats-Service-Error"); r.Status == "" {
					_ = json.Unmarshal(reply.Data, &r)
				}
			} else {
				r.Status = n.post(n.ctx, web, token, "application/cloudevents+json", raw, &r)
			}
			n.answered(incident, r.Status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *neighbours) tokenOf(operator string) string {
	return (&siege{guarded: n.guarded}).token(identity.Operator, operator)
}

// post sends a request to report and returns the status of the receipt.
func (n *neighbours) post(ctx context.Context, web *http.Client, token, contentType string, body []byte, r *event.Receipt) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.app.HTTPAddr()+"/v1/reports", bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := web.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return resp.Status + string(answer)
	}
	_ = json.Unmarshal(answer, r)
	return r.Status
}

// fromOtherAddress has many clients of another address do something until ctx ends. It
// leaves no unused connection behind, for which the server would wait when it stops.
func (n *neighbours) fromOtherAddress(ctx context.Context, many int, do func(web *http.Client, i int)) (wait func()) {
	dial := &net.Dialer{LocalAddr: n.greedy}
	web := &http.Client{Transport: &http.Transport{DialContext: dial.DialContext, MaxIdleConnsPerHost: 1000}, Timeout: 30 * time.Second}
	stop := repeatConcurrently(ctx, many, func(i int) { do(web, i) })
	return func() { stop(); web.CloseIdleConnections() }
}

// repeatConcurrently has many do something until ctx ends.
func repeatConcurrently(ctx context.Context, many int, do func(i int)) (wait func()) {
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			for ctx.Err() == nil {
				do(i)
			}
		})
	}
	return wg.Wait
}

// greed is what the greedy operator does, each until ctx ends.
var greed = map[string]func(n *neighbours, ctx context.Context) (wait func()){
	"half-sent requests": func(n *neighbours, ctx context.Context) func() {
		dial := &net.Dialer{LocalAddr: n.greedy}
		var open []net.Conn
		for range 200 {
			c, err := dial.DialContext(ctx, "tcp", strings.TrimPrefix(n.app.HTTPAddr(), "http://"))
			if err != nil {
				break
			}
			open = append(open, c)
			_, _ = fmt.Fprintf(c, "POST /v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 16000000\r\n\r\n{%s", n.token, strings.Repeat(" ", 100_000))
		}
		return func() {
			for _, c := range open {
				_ = c.Close()
			}
		}
	},
	"batches": func(n *neighbours, ctx context.Context) func() {
		return n.fromOtherAddress(ctx, 40, func(web *http.Client, i int) {
			events := make([]string, 1000)
			for k := range events {
				events[k] = string(cloudEvent("initial", "grid-east", fmt.Sprintf("b%d-%d-%d", i, time.Now().UnixNano(), k), "r1", plain))
			}
			var r event.Receipt
			_ = n.post(ctx, web, n.token, "application/cloudevents-batch+json", []byte("["+strings.Join(events, ",")+"]"), &r)
		})
	},
	"batches that parse into much": func(n *neighbours, ctx context.Context) func() {
		one := `{"data":{"x":[` + strings.Repeat("0,", 7900) + `0]}}`
		body := []byte("[" + strings.Repeat(one+",", 999) + one + "]")
		return n.fromOtherAddress(ctx, 20, func(web *http.Client, _ int) {
			var r event.Receipt
			_ = n.post(ctx, web, n.token, "application/cloudevents-batch+json", body, &r)
		})
	},
	"reports over NATS": func(n *neighbours, ctx context.Context) func() {
		return n.flood(ctx, func(i int) []byte {
			return cloudEvent("initial", "grid-east", fmt.Sprintf("f%d-%d", i, time.Now().UnixNano()), "r1", plain)
		})
	},
	"reports over NATS that wait for no receipt": func(n *neighbours, ctx context.Context) func() {
		c, err := nats.Connect(n.app.NATSAddr(), nats.UserCredentials(n.creds(identity.Operator, "grid-east")))
		require.NoError(n.t, err)
		inbox := nats.NewInbox()
		_, err = c.Subscribe(inbox, func(*nats.Msg) {})
		require.NoError(n.t, err)
		stop := repeatConcurrently(ctx, 2, func(i int) {
			_ = c.PublishMsg(&nats.Msg{Subject: "report.grid-east", Reply: inbox, Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: cloudEvent("initial", "grid-east", fmt.Sprintf("p%d-%d", i, time.Now().UnixNano()), "r1", plain)})
		})
		return func() { stop(); c.Close() }
	},
	"faulty reports over NATS": func(n *neighbours, ctx context.Context) func() {
		return n.flood(ctx, func(i int) []byte { return fmt.Appendf(nil, `{"id":"%d-%d"`, i, time.Now().UnixNano()) })
	},
}

// flood sends many requests over NATS, far more than are answered at a time.
func (n *neighbours) flood(ctx context.Context, payload func(i int) []byte) (wait func()) {
	c, err := nats.Connect(n.app.NATSAddr(), nats.UserCredentials(n.creds(identity.Operator, "grid-east")))
	require.NoError(n.t, err)
	stop := repeatConcurrently(ctx, 4000, func(i int) {
		_, _ = c.RequestMsgWithContext(ctx, &nats.Msg{Subject: "report.grid-east", Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: payload(i)})
	})
	return func() { stop(); c.Close() }
}

// beside has the honest operator report during an attack, and returns what it measured.
func (n *neighbours) beside(name string, lasts time.Duration) (took, told []time.Duration, refusals []string, memory uint64) {
	ctx, cancel := context.WithTimeout(n.ctx, lasts)
	defer cancel()
	wait := greed[name](n, ctx)
	peak := make(chan uint64)
	go func() { peak <- peakMemory(ctx) }()
	n.honest(strings.ReplaceAll(name, " ", "-"), lasts)
	<-ctx.Done()
	wait()
	require.Eventually(n.t, func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.sent) == 0 }, 60*time.Second, 10*time.Millisecond, "the desk is told of all")
	n.mu.Lock()
	defer n.mu.Unlock()
	took, told, refusals = n.took, n.told, n.refusals
	n.took, n.told, n.refusals = nil, nil, nil
	return took, told, refusals, <-peak
}

// peakMemory returns the most memory that Go takes from the machine until ctx ends.
func peakMemory(ctx context.Context) (most uint64) {
	for ctx.Err() == nil {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(s)
		most = max(most, s[0].Value.Uint64()-s[1].Value.Uint64())
		time.Sleep(50 * time.Millisecond)
	}
	return most
}

func startNeighbours(t testing.TB) *neighbours {
	n := &neighbours{guarded: startGuarded(t, nil), ctx: t.Context(), greedy: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, sent: map[string]time.Time{}}
	n.token = n.tokenOf("grid-east")
	go n.watch()
	return n
}

// TestGreedyOperator_HarmsNoOther: whatever one operator sends, and however much, each report of
// another is accepted, and its desk is told.
func TestGreedyOperator_HarmsNoOther(t *testing.T) {
	t.Parallel()
	n := startNeighbours(t)
	for _, name := range []string{"half-sent requests", "batches"} { // the benchmark has the others, too
		_, told, refusals, _ := n.beside(name, 300*time.Millisecond)
		require.Empty(t, refusals, name)
		require.NotEmpty(t, told, name)
	}
}

// BenchmarkHonestBesideGreedy measures how long an honest operator and its desk wait
// beside each attack. TOCSIN_ATTACK says how long an attack lasts, such as 60s.
func BenchmarkHonestBesideGreedy(b *testing.B) {
	attack := 3 * time.Second
	if testing.Short() {
		attack = time.Second
	}
	if s := os.Getenv("TOCSIN_ATTACK"); s != "" {
		var err error
		attack, err = time.ParseDuration(s)
		require.NoError(b, err)
	}
	for name := range greed {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				took, told, refusals, memory := startNeighbours(b).beside(name, attack)
				slices.Sort(took)
				slices.Sort(told)
				b.ReportMetric(float64(len(refusals)), "refused")
				b.ReportMetric(float64(len(took)), "accepted")
				b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "receipt-p99-ms")
				b.ReportMetric(float64(told[len(told)*99/100].Milliseconds()), "told-p99-ms")
				b.ReportMetric(float64(told[len(told)-1].Milliseconds()), "told-max-ms")
				b.ReportMetric(float64(memory>>20), "MB")
			}
		})
	}
}
