package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
)

const mega = 1 << 20

// startOnDisk starts everything on a disk of 2,000 MB with a reserve of 100, of which
// leave leaves so many free.
func startOnDisk(t *testing.T) (w *world, leave func(megabytes uint64)) {
	free := new(atomic.Uint64)
	free.Store(1000 * mega)
	w = startWorldIn(t, t.TempDir(), func(c *app.Config) {
		c.DiskReserve = 100 * mega
		c.Room = func(string) (natsd.Room, error) { return natsd.Room{Free: free.Load(), Total: 2000 * mega}, nil }
	})
	return w, func(megabytes uint64) {
		free.Store(megabytes * mega)
		w.await("the disk is looked at again", func() bool {
			seen, err := strconv.ParseFloat(w.gauge("tocsin_disk_free_bytes"), 64)
			return err == nil && uint64(seen) == megabytes*mega
		})
	}
}

func reportRaw(incident string) []byte {
	return cloudEvent("initial", at, incident, "r1", onSite+large)
}

// post sends a report over HTTP and returns the problem in the answer.
func (w *world) post(raw []byte) (resp *http.Response, problem struct{ Detail string }) {
	w.t.Helper()
	resp, err := http.Post(w.app.HTTPAddr()+"/v1/reports", "application/cloudevents+json", bytes.NewReader(raw))
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(body, &problem), string(body))
	return resp, problem
}

// postStatus sends reports over HTTP and returns the status of the answer.
func (w *world) postStatus(raw []byte) int {
	w.t.Helper()
	kind := "application/cloudevents+json"
	if raw[0] == '[' {
		kind = "application/cloudevents-batch+json"
	}
	resp, err := http.Post(w.app.HTTPAddr()+"/v1/reports", kind, bytes.NewReader(raw))
	require.NoError(w.t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// gauge returns the value of a metric without labels.
func (w *world) gauge(name string) string {
	w.t.Helper()
	_, text := w.get("/metrics")
	for _, line := range strings.Split(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	w.t.Fatalf("no metric %s", name)
	return ""
}

func TestDisk_AtTheReserve(t *testing.T) {
	t.Parallel()
	w, leave := startOnDisk(t)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	require.Equal(t, "0", w.gauge("tocsin_disk_alarm"))
	require.Equal(t, "1.048576e+08", w.gauge("tocsin_disk_reserve_bytes"))
	leave(300)
	require.Equal(t, "1", w.gauge("tocsin_disk_alarm"), "long before anything is refused")
	taken := w.report("initial", at, "before", "r1", onSite+large)
	w.settled()

	leave(99)
	resp, problem := w.post(reportRaw("over-http"))
	require.Equal(t, http.StatusInsufficientStorage, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Contains(t, problem.Detail, "disk is nearly full (99 MiB are free): no new report is taken")
	reply, err := w.nc.Request(api.ReportSubject(at), reportRaw("over-nats"), waitLimit)
	require.NoError(t, err)
	require.Equal(t, "507", reply.Header.Get(endpoint.HeaderErrorCode))
	_, err = w.client.Report(t.Context(), at, reportRaw("by-the-command"))
	require.ErrorContains(t, err, "disk is nearly full")

	// A repeat needs no room, and gets the receipt of the first.
	first := w.send(at, reportRaw("before"))
	require.Equal(t, event.StatusDuplicate, first.Status)
	require.Equal(t, taken.Entry, first.Entry)
	require.Equal(t, http.StatusOK, w.postStatus(reportRaw("before")))
	both := func(other string) []byte {
		return slices.Concat([]byte("["), reportRaw("before"), []byte(","), reportRaw(other), []byte("]"))
	}
	require.Equal(t, http.StatusOK, w.postStatus(both(inc)))
	require.Equal(t, http.StatusInsufficientStorage, w.postStatus(both("over-http")), "one of them is new")
	require.Equal(t, http.StatusInsufficientStorage, w.postStatus(cloudEvent("initial", at, "before", "r1", onSite+short)), "a conflict would be kept")

	// The records that follow from accepted reports are still written.
	require.Equal(t, event.StatusAccepted, w.ack(toPolice, "duty-officer").Status)
	w.at("09:40")
	w.fireUntil("the desk is overdue", func(h *history) bool { return h.overdue[toEnergy] != nil })
	ready, _ := w.health("/readyz")
	require.Equal(t, http.StatusOK, ready, "desks still need the server")

	leave(101)
	require.Equal(t, event.StatusAccepted, w.report("initial", at, "after", "r1", onSite+large).Status)
	require.Equal(t, event.StatusDuplicate, w.send(at, reportRaw("before")).Status)
	require.NotContains(t, w.settled().graded, at+"/over-http", "what was refused was not stored")
}

func TestDisk_Full(t *testing.T) {
	t.Parallel()
	w, leave := startOnDisk(t)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	w.awaitHealthy()

	leave(1)
	w.await("it is not ready", func() bool {
		status, h := w.health("/readyz")
		return status != http.StatusOK && strings.Contains(h.Status, "disk is full (1.0 MiB are free)")
	})
	_, err := w.client.Report(t.Context(), at, reportRaw("full"))
	require.ErrorContains(t, err, "disk is full")
	require.Equal(t, event.StatusDuplicate, w.send(at, reportRaw(inc)).Status, "it is stored already")
	_, err = w.client.Acknowledge(t.Context(), "sh-public-security", toPolice, "duty-officer")
	require.ErrorContains(t, err, "disk is full")

	leave(1000)
	require.Equal(t, event.StatusAccepted, w.ack(toPolice, "duty-officer").Status)
	require.Equal(t, event.StatusAccepted, w.report("initial", at, "full", "r1", onSite+large).Status)
	w.settled()
	w.awaitHealthy()
}
