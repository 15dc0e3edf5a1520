package ledger

import (
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// certified waits until everything is indexed, and covered by the checkpoint.
func (w *web) certified() api.LogState {
	w.t.Helper()
	head, err := w.env.Bus.Head(ledgertest.Anyone(w.t))
	require.NoError(w.t, err)
	var s api.LogState
	require.Eventually(w.t, func() bool {
		s = decoded[api.LogState](w.t, second(w.want("/v1/log")))
		return s.Size == head && s.Indexed == head
	}, 30*time.Second, 10*time.Millisecond)
	return s
}

// Tile reads a tile as an outsider does.
func (w *web) Tile(path string) ([]byte, error) {
	resp, body := w.get("/v1/log/" + path)
	if resp.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist
	}
	require.Equal(w.t, http.StatusOK, resp.StatusCode)
	return []byte(body), nil
}

// An outsider who has only the key checks the whole log over HTTP.
func TestHTTPLog_VerifiesWithTheKeyAlone(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	require.Contains(t, w.refused(http.StatusNotFound, "/v1/log/tile/0/000.p/1").Detail, "tile/0/000.p/1")
	var records []event.Record
	for n := range 600 {
		records = append(records, ledgertest.Escalated(n+1, nil))
	}
	commit(t, w.env, records...)
	state := w.certified()
	require.Equal(t, ask[api.LogState](t, w.env, api.EndpointLog, nil), state)

	resp, key := w.want("/v1/log/key")
	require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	v, err := evidence.NewVerifier(strings.TrimSuffix(key, "\n"))
	require.NoError(t, err)
	resp, note := w.want("/v1/log/checkpoint")
	require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Equal(t, "private, max-age=1", resp.Header.Get("Cache-Control"))
	cp, err := v.Open(note)
	require.NoError(t, err)
	require.EqualValues(t, 600, cp.Size)
	require.NoError(t, evidence.CheckTiles(ledgertest.Anyone(t), w, cp))
	entries := []evidence.Hash{}
	for h, err := range evidence.Entries(w, 0, 600) {
		require.NoError(t, err)
		entries = append(entries, h)
	}

	for _, n := range []uint64{1, 256, 257, 600} {
		resp, line := w.want(fmt.Sprint("/v1/log/records/", n))
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		record, err := evidence.ParseLine([]byte(line))
		require.NoError(t, err, "the very bytes of the line")
		require.Equal(t, n, record.Sequence)
		require.Equal(t, entries[n-1], record.Entry())
		resp, text := w.want(fmt.Sprint("/v1/log/records/", n, "/proof"))
		require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
		proof, err := evidence.ParseProof(text)
		require.NoError(t, err)
		proved, err := proof.Verify(v)
		require.NoError(t, err)
		require.Equal(t, cp, proved)
		require.Equal(t, record, proof.Record)
	}
	for _, n := range []string{"601", "18446744073709551615"} {
		require.Contains(t, w.refused(http.StatusNotFound, "/v1/log/records/"+n).Detail, n)
		w.refused(http.StatusBadRequest, "/v1/log/records/"+n+"/proof")
	}
	for _, path := range []string{"0/002", "0/002.p/89", "0/003", "0/000.p/0", "x", "0/000%2f..%2f..%2fkey", "entries/001.p", "7/000", "-1/000"} {
		w.refused(http.StatusNotFound, "/v1/log/tile/"+path)
	}
}

// A client's cached answer is not sent again, unless it has changed.
func TestHTTPLog_CachesByETag(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	w.certified()
	tags := map[string]string{}
	for path, cache := range map[string]string{
		"/v1/log/tile/0/000.p/10":       "private, max-age=31536000, immutable",
		"/v1/log/tile/entries/000.p/10": "private, max-age=31536000, immutable",
		"/v1/log/records/1":             "no-store",
		"/v1/log/records/1/proof":       "no-store",
		"/v1/log/checkpoint":            "private, max-age=1",
		"/v1/log/key":                   "no-cache",
	} {
		resp, _ := w.want(path)
		tags[path] = resp.Header.Get("ETag")
		require.NotEmpty(t, tags[path], path)
		require.Equal(t, cache, resp.Header.Get("Cache-Control"), path)
		resp, body := w.get(path, "If-None-Match", tags[path])
		require.Equal(t, http.StatusNotModified, resp.StatusCode, path)
		require.Empty(t, body)
		head := w.open(ledgertest.Anyone(t), http.MethodHead, path)
		require.Equal(t, tags[path], head.Header.Get("ETag"))
	}
	commit(t, w.env, ledgertest.Escalated(20, nil))
	w.certified()
	for path, tag := range tags {
		resp, _ := w.get(path, "If-None-Match", tag)
		changed := strings.HasSuffix(path, "proof") || strings.HasSuffix(path, "checkpoint")
		require.Equal(t, changed, resp.StatusCode == http.StatusOK, path)
	}

	// A removed record is gone also for clients that have cached it.
	answer := ask[api.RemoveAnswer](t, w.env, api.EndpointRemove, api.RemoveRequest{Record: 1, Order: "order 1/2026", Officer: "archivist"})
	require.Equal(t, event.StatusAccepted, answer.Status, answer.Errors)
	require.Contains(t, w.refused(http.StatusNotFound, "/v1/log/records/1", "If-None-Match", tags["/v1/log/records/1"]).Detail, "was removed by order order 1/2026 (archivist)")
	w.refused(http.StatusBadRequest, "/v1/log/records/1/proof", "If-None-Match", tags["/v1/log/records/1/proof"])
}

// The answer for a missing record gives the reason: the order, the export, or none, and
// then the same request has found the damage.
func TestHTTPRecord_MissingGivesTheReason(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	w.certified()
	why := func(record uint64) string {
		return w.refused(http.StatusNotFound, fmt.Sprint("/v1/log/records/", record)).Detail
	}
	damage := func() []event.Damage {
		return decoded[api.LogState](t, second(w.want("/v1/log"))).Damage
	}

	answer := ask[api.RemoveAnswer](t, w.env, api.EndpointArchive, api.ArchiveRequest{First: 2, Last: 2, Export: "0a1b", Officer: "archivist"})
	require.EqualValues(t, 1, answer.Removed, "%+v", answer)
	head := w.certified().Head
	require.Contains(t, why(2), "was archived; the export whose manifest has the SHA-256 0a1b proves it")
	require.Equal(t, fmt.Sprintf("there is no record %d", head+1), why(head+1))
	require.Empty(t, damage(), "of what was removed by right, or never was")

	require.NoError(t, w.env.Bus.Remove(ledgertest.Anyone(t), 3))
	require.Contains(t, why(3), "record 3 is missing, and no removal says so")
	found := slices.DeleteFunc(damage(), func(d event.Damage) bool {
		return d.First == 0 // the concurrent check may have counted by now
	})
	require.Len(t, found, 1)
	require.Equal(t, []any{event.DamageMissing, uint64(3), uint64(3)}, []any{found[0].Kind, found[0].First, found[0].Last})
}
