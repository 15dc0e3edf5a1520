package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// askAt asks at one of the ledger's endpoints.
func askAt[T any](w *world, endpoint string, question any) (answer T) {
	w.t.Helper()
	raw, err := json.Marshal(question)
	require.NoError(w.t, err)
	m, err := w.nc.Request(endpoint, raw, waitLimit)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(m.Data, &answer))
	return answer
}

// certified waits until everything stored is certified.
func (w *world) certified() (s api.LogState) {
	w.t.Helper()
	w.await("the checkpoint covers the stream", func() bool {
		s = askAt[api.LogState](w, api.EndpointLog, struct{}{})
		return s.Size == s.Head
	})
	return s
}

// A receipt names the entry under which the log has the report; later the same
// receipt still does, and the proof of the record has it.
func TestReceipt_NamesItsEntry(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	r := w.report("initial", at, inc, "r1", onSite+large)
	require.NotNil(t, r.Entry)
	again := w.send(at, cloudEvent("initial", at, inc, "r1", onSite+large))
	require.Equal(t, event.StatusDuplicate, again.Status)
	require.Equal(t, r.Entry, again.Entry)
	w.settled()
	state := w.certified()
	key, err := evidence.NewVerifier(state.Key)
	require.NoError(t, err)
	p, err := evidence.ParseProof(askAt[api.ProveAnswer](w, api.EndpointProve, api.ProveRequest{Record: r.Record}).Proof)
	require.NoError(t, err)
	_, err = p.Verify(key)
	require.NoError(t, err)
	require.Equal(t, *r.Entry, p.Record.Entry())
	require.Empty(t, state.Damage)
	require.Equal(t, "P6M", state.Keep)
	require.NotEqual(t, state.Key, askAt[api.LogState](w, "exercise."+api.EndpointLog, struct{}{}).Key, "a drill has a log of its own")
}

// The stream has become shorter than what was certified: nothing is written, and
// everybody is told so.
func TestTruncatedStream_RefusesReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	for _, id := range []string{"a", "b", "c"} {
		w.report("initial", at, "cut-"+id, "r1", onSite+large)
	}
	w.settled()
	before := w.certified()
	w.shutdown()
	blocks, err := filepath.Glob(filepath.Join(dir, "nats/jetstream/*/streams/LEDGER/msgs/*.blk"))
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	info, err := os.Stat(blocks[0])
	require.NoError(t, err)
	require.NoError(t, os.Truncate(blocks[0], info.Size()/2))
	require.NoError(t, os.RemoveAll(filepath.Join(filepath.Dir(blocks[0]), "index.db")))

	w = startWorldIn(t, dir, nil)
	status, h := w.health("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "the record is damaged", h.Status)
	require.Equal(t, event.DamageCut, h.Damage[0].Kind)
	require.Equal(t, before.Head, h.Damage[0].Last)
	_, text := w.get("/metrics")
	require.Contains(t, text, `tocsin_ledger_damaged{exercise="false"} 1`)
	require.Contains(t, text, `tocsin_ledger_damaged{exercise="true"} 0`)

	head := askAt[api.LogState](w, api.EndpointLog, struct{}{}).Head
	require.Equal(t, h.Damage[0].First-1, head)
	raw := cloudEvent("initial", at, "late", "r1", onSite+large)
	resp, err := http.Post(w.app.HTTPAddr()+"/v1/reports", "application/cloudevents+json", bytes.NewReader(raw))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	c, err := client.Dial(w.app.NATSAddr(), waitLimit)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Report(context.Background(), at, raw)
	require.ErrorContains(t, err, "report by telephone")
	after := askAt[api.LogState](w, api.EndpointLog, struct{}{})
	require.Equal(t, head, after.Head, "nothing was written")
	require.Equal(t, before.Checkpoint, after.Checkpoint, "the last good checkpoint stands")
	drill := w.in(event.Drill)
	drill.report("initial", at, "drilled", "r1", onSite+large) // a drill is another record
	w.shutdown()

	// Where no ledger runs, the checkpoint beside the stream says so.
	w = startWorldIn(t, dir, func(c *app.Config) { c.Roles = []string{"intake"} })
	status, h = w.health("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "the record is damaged", h.Status)
	c, err = client.Dial(w.app.NATSAddr(), waitLimit)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Report(context.Background(), at, raw)
	require.ErrorContains(t, err, "report by telephone")
}

// Damage further up does not silence a grid that goes dark: reports are taken,
// nothing is certified, and it is not ready.
func TestDamage_DoesNotStopReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	for _, id := range []string{"a", "b", "c"} {
		w.report("initial", at, "i-"+id, "r1", onSite+`"title":"marked title",`+large)
	}
	w.settled()
	before := w.certified()
	w.shutdown()
	blocks, err := filepath.Glob(filepath.Join(dir, "nats/jetstream/*/streams/LEDGER/msgs/*.blk"))
	require.NoError(t, err)
	raw, err := os.ReadFile(blocks[0])
	require.NoError(t, err)
	i := bytes.Index(raw, []byte("marked title"))
	require.Positive(t, i)
	raw[i] ^= 1
	require.NoError(t, os.WriteFile(blocks[0], raw, 0o600))

	w = startWorldIn(t, dir, nil)
	w.await("the check has found it", func() bool { status, _ := w.health("/readyz"); return status != http.StatusOK })
	w.report("initial", at, "dark", "r1", onSite+large)
	state := askAt[api.LogState](w, api.EndpointLog, struct{}{})
	require.NotEmpty(t, state.Damage)
	require.Equal(t, before.Checkpoint, state.Checkpoint)
	status, _ := w.get("/healthz")
	require.Equal(t, http.StatusOK, status, "every service works")
}

func TestRetention_NotShorterThanTheLaw(t *testing.T) {
	t.Parallel()
	_, err := app.Start(t.Context(), app.Config{Data: t.TempDir(), Rulebook: rules(t, "", ""), Keep: 5})
	require.ErrorContains(t, err, "records cannot be kept for P5M only: Cybersecurity Law (as amended 2025), art. 23: at least P6M [interpretation]")
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.Keep = 24 })
	require.Equal(t, "P24M", askAt[api.LogState](w, api.EndpointLog, struct{}{}).Keep)
	w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	s := w.certified()
	a := askAt[api.RemoveAnswer](w, api.EndpointArchive, api.ArchiveRequest{First: 1, Last: s.Size, Export: strings.Repeat("0", 64), Officer: "records-officer"})
	require.Len(t, a.Errors, 1)
	require.Contains(t, a.Errors[0].Message, "nothing younger than P24M is archived (Cybersecurity Law (as amended 2025), art. 23")
}

// A report that was removed by order does not come back when it is sent again,
// also not after a restart; another report of the incident is taken.
func TestRemovedReport_IsNotAcceptedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	r := w.report("initial", at, inc, "r1", onSite+large)
	w.settled()
	w.certified()
	a := askAt[api.RemoveAnswer](w, api.EndpointRemove, api.RemoveRequest{Record: r.Record, Order: "order 7", Officer: "records-officer"})
	require.Equal(t, event.StatusAccepted, a.Status, "%+v", a.Errors)
	refused := func() bool {
		again := w.send(at, cloudEvent("initial", at, inc, "r1", onSite+large))
		return again.Status == event.StatusRejected && strings.Contains(again.Errors[0].Message, "was removed from the record by order order 7")
	}
	w.await("intake knows", refused)
	w.report("progress", at, inc, "r2", `"impact":"more"`)
	w.settled()
	w.shutdown()
	w = startWorldIn(t, dir, nil)
	require.True(t, refused())
	require.Empty(t, w.certified().Damage)
}
