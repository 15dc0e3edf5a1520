package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
)

// get asks the HTTP endpoint, which answers even if something behind it hangs.
func (w *world) get(path string) (status int, body string) {
	w.t.Helper()
	resp, err := (&http.Client{Timeout: waitLimit}).Get(w.app.HTTPAddr() + path)
	require.NoError(w.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, resp.Body.Close())
	return resp.StatusCode, string(raw)
}

func (w *world) health(path string) (int, app.Health) {
	w.t.Helper()
	status, body := w.get(path)
	var h app.Health
	require.NoError(w.t, json.Unmarshal([]byte(body), &h))
	require.Equal(w.t, status == http.StatusOK, h.Status == "ok", h.Status)
	return status, h
}

// awaitReady waits until /readyz succeeds: a busy machine may give no sign of life for a
// while.
func (w *world) awaitReady(why string) {
	w.t.Helper()
	w.await("it is ready: "+why, func() bool { status, _ := w.health("/readyz"); return status == http.StatusOK })
}

// awaitHealthy waits until all services give signs of life.
func (w *world) awaitHealthy() app.Health {
	w.t.Helper()
	var h app.Health
	w.await("it is well", func() bool {
		ready, _ := w.health("/readyz")
		var status int
		status, h = w.health("/healthz")
		return ready == http.StatusOK && status == http.StatusOK
	})
	return h
}

func metricsOf(t *testing.T, text string) map[string][]map[string]string {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	out := map[string][]map[string]string{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if strings.HasSuffix(name, "_timestamp_seconds") && strings.HasPrefix(name, "tocsin_") {
				at := time.UnixMilli(int64(m.GetGauge().GetValue() * 1000))
				require.WithinDuration(t, time.Now(), at, 365*24*time.Hour, name)
			}
			out[name] = append(out[name], labels)
		}
	}
	return out
}

func TestHealth(t *testing.T) {
	t.Parallel()
	began := time.Now()
	w := startWorld(t)
	drill := w.in(event.Drill)
	w.report("initial", at, "secret-incident", "secret-report", onSite+`"title":"secret title 调度中断",`+large)
	drill.report("initial", at, "secret-drill", "r1", onSite+`"title":"secret title",`+large)
	w.settled()
	drill.settled()
	w.watch(w.client, "wall", 1)
	h := w.awaitHealthy()
	var names []string
	for _, s := range h.Services {
		require.True(t, s.Alive, s.Service)
		requireBetween(t, began, s.LastAlive, s.Service)
		names = append(names, fmt.Sprint(s.Service, " ", s.Exercise))
	}
	for _, role := range append(app.Roles(), "deadline-due") { // what comes due is a loop of its own
		require.Contains(t, names, role+" false")
		require.Contains(t, names, role+" true")
	}
	require.Len(t, names, 2*7)
	w.await("the screens are known", func() bool { // a busy service may not answer in time
		screens := w.awaitHealthy().Screens
		for _, exercise := range []bool{true, false} {
			for _, desk := range append(slices.Clone(all4), "sh-cyberspace") {
				if !slices.ContainsFunc(screens, func(s app.ScreenHealth) bool { return s.Desk == desk && s.Exercise == exercise }) {
					return false
				}
			}
		}
		return slices.ContainsFunc(screens, func(s app.ScreenHealth) bool {
			return s.Desk == duty && s.Client == "wall" && !s.Exercise && s.SeenAt != nil
		})
	})

	status, text := w.get("/metrics")
	require.Equal(t, http.StatusOK, status)
	metrics := metricsOf(t, text)
	require.Len(t, metrics["tocsin_service_last_alive_timestamp_seconds"], 2*7)
	require.Contains(t, metrics["tocsin_desk_last_seen_timestamp_seconds"], map[string]string{"desk": duty, "client": "wall", "exercise": "false"})
	require.Contains(t, metrics, "go_goroutines")

	// Nothing of an incident, and nothing that says which facility is CII.
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		_, text := w.get(path)
		for _, no := range []string{"secret", "调度", "dispatch", "grid-east", "office-portal", "outage", "facilit", "cii", "CII", "relatively", "escalation"} {
			require.NotContains(t, text, no, path)
		}
		resp, err := http.Post(w.app.HTTPAddr()+path, "text/plain", nil)
		require.NoError(t, err)
		resp.Body.Close()
		require.NotEqual(t, http.StatusOK, resp.StatusCode, path)
	}
}

// Every service of both realms answers a plain NATS client.
func TestServicesAnswerPingInfoAndStats(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.report("initial", at, "secret-incident", "r1", onSite+large)
	w.awaitHealthy() // the library writes a service's start while a question for it may come already
	for _, role := range append(app.Roles(), "deadline-due") {
		for _, name := range []string{role, "exercise-" + role} {
			for _, verb := range []string{"PING", "INFO", "STATS"} {
				m, err := w.nc.Request("$SRV."+verb+"."+name, nil, waitLimit)
				require.NoError(t, err, name)
				var answer struct{ Name, ID, Version, Type string }
				require.NoError(t, json.Unmarshal(m.Data, &answer))
				require.Equal(t, name, answer.Name)
				require.Equal(t, "1.0.0", answer.Version)
				require.Contains(t, answer.Type, strings.ToLower(verb))
				require.NotContains(t, string(m.Data), "secret")
			}
		}
	}
	all, err := w.nc.SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	require.NoError(t, w.nc.PublishRequest("$SRV.PING", all.Subject, nil))
	found := map[string]bool{}
	for len(found) < 2*7 {
		m, err := all.NextMsg(waitLimit)
		require.NoError(t, err)
		var answer struct{ Name string }
		require.NoError(t, json.Unmarshal(m.Data, &answer))
		found[answer.Name] = true
	}
}

// A process without intake still reports its health and its services; if the clocks run
// in another process, it lists no screens.
func TestHealth_OneRole(t *testing.T) {
	t.Parallel()
	url, monitor := startOutsideNATS(t, true)
	for role, services := range map[string][]string{"router": {"router", "router"}, "deadline": {"deadline", "deadline-due", "deadline", "deadline-due"}} {
		w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Monitor, c.Roles = url, monitor, []string{role} })
		h := w.awaitHealthy()
		var names []string
		for _, s := range h.Services {
			names = append(names, s.Service)
		}
		require.Equal(t, services, names)
		w.await("the screens are known where the clocks run", func() bool { return (len(w.awaitHealthy().Screens) > 0) == (role == "deadline") })
		status, _ := w.get("/metrics")
		require.Equal(t, http.StatusOK, status)
		for _, path := range []string{"/v1/reports", "/v1/exercise/reports"} {
			status, _ = w.drillPost(w.app.HTTPAddr()+path, "application/cloudevents+json", cloudEvent("initial", at, inc, "r1", onSite+large))
			require.Equal(t, http.StatusNotFound, status)
		}
	}
}

// The server disappears under the services: health reports that at once, with the reason;
// nothing blocks. It comes back, and all is well.
func TestHealth_NATSDisconnected(t *testing.T) {
	t.Parallel()
	opts := &server.Options{
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: -1,
	}
	start := func() *server.Server {
		s, err := server.NewServer(opts)
		require.NoError(t, err)
		go s.Start()
		require.True(t, s.ReadyForConnections(waitLimit))
		return s
	}
	s := start()
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Monitor = s.ClientURL(), "http://"+s.MonitorAddr().String() })
	w.awaitHealthy()
	opts.Port = s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	status, h := 0, app.Health{}
	w.await("it is said", func() bool { status, h = w.health("/healthz"); return h.Status == "not connected to NATS" })
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Empty(t, h.Screens, "who is there is not known")
	status, _ = w.health("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	_, text := w.get("/metrics")
	require.Len(t, metricsOf(t, text)["tocsin_service_last_alive_timestamp_seconds"], 2*7)
	s = start()
	t.Cleanup(func() { w.app.Stop(); s.Shutdown(); s.WaitForShutdown() })
	w.awaitHealthy()
}

// The stream is gone though the server answers: no report can be taken.
func TestReadyz_FailsWithoutTheStream(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.awaitHealthy()
	require.NoError(t, w.js.DeleteStream(t.Context(), event.Drill.Stream(event.StreamLedger)))
	w.awaitReady("a drill in trouble closes no real endpoint")

	require.NoError(t, w.js.DeleteStream(t.Context(), event.StreamLedger))
	isReady := func() bool {
		resp, err := http.Get(w.app.HTTPAddr() + "/readyz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}
	require.False(t, isReady(), "it answers 503, or a service has noticed and ended the process")
}

// A service that hangs is named. Here it waits for its stream, which was deleted; the
// other services continue.
func TestHealth_ServiceHangs(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	drill := w.in(event.Drill)
	w.awaitHealthy()
	require.NoError(t, w.js.DeleteStream(t.Context(), event.Drill.Stream(event.StreamTimers)))
	drill.report("initial", at, inc, "r1", onSite+large) // its clocks cannot be set
	w.await("it is said of that one", func() bool {
		_, h := w.health("/healthz")
		return h.Status == "exercise-deadline gives no sign of life" && !slices.ContainsFunc(h.Services, func(s app.ServiceHealth) bool {
			return s.Alive == (s.Service == "deadline" && s.Exercise)
		})
	})
	w.report("initial", at, inc, "r1", onSite+large)
	require.Equal(t, regional, desks(w.settled().last(t, at, inc)), "the real clocks go on")
	require.Len(t, w.awaitTimers(), 2)
}

func TestHealth_IndexFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	w.awaitHealthy()
	for _, suffix := range []string{"", "-wal"} {
		require.NoError(t, os.Remove(filepath.Join(dir, "ledger", "index.sqlite"+suffix)))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "ledger", "index.sqlite"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger", "index.sqlite", "not-ours"), nil, 0o600))
	w.await("the failure is seen", func() bool {
		status, h := w.health("/healthz")
		return status == http.StatusOK && len(h.Warnings) == 1 && strings.Contains(h.Warnings[0], "the index cannot be used")
	})
	w.awaitReady("reports are taken and passed on")
	resp, err := http.Get(w.app.HTTPAddr() + "/v1/escalations")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Contains(t, string(body), "the index is being opened or rebuilt")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "ledger", "index.sqlite")))
	w.await("it is rebuilt", func() bool {
		_, h := w.health("/healthz")
		return len(h.Warnings) == 0
	})
	status, _ := w.get("/v1/escalations")
	require.Equal(t, http.StatusOK, status)
}
