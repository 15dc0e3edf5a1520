package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/services/ledger/index"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// linesOf reads JSON Lines.
func linesOf[R any](t *testing.T, body string) []R {
	t.Helper()
	rows := []R{}
	for line := range strings.Lines(body) {
		rows = append(rows, decoded[R](t, line))
	}
	return rows
}

func tableOf(t *testing.T, body string) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err)
	return all
}

// Every form has the same rows, for any size.
func TestHTTPList_FormsHaveTheSameRows(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	const many = 6*index.PageRows + 7
	var records []event.Record
	for n := range many {
		records = append(records, ledgertest.Escalated(n+1, func(e *event.Escalated) {
			if n%3 == 0 {
				e.Desk, e.From = "national-cyberspace", "=HYPERLINK(\"http://example.com\")"
			}
		}))
	}
	commit(t, w.env, records...)
	for _, c := range []struct {
		query string
		rows  int
	}{{"", many}, {"desk=national-cyberspace", (many + 2) / 3}, {"limit=401", 401}, {"limit=200", 200}, {"cursor=1000&limit=9", 9}, {"operator=nobody", 0}} {
		resp, body := w.want("/v1/escalations?"+c.query, "Accept", "application/x-ndjson")
		require.Equal(t, "application/x-ndjson", resp.Header.Get("Content-Type"))
		rows := linesOf[api.EscalationRow](t, body)
		require.Len(t, rows, c.rows, c.query)
		resp, again := w.want("/v1/escalations?"+c.query, "Accept", "application/jsonl")
		require.Equal(t, "application/jsonl", resp.Header.Get("Content-Type"))
		require.Equal(t, body, again)

		resp, body = w.want("/v1/escalations?"+c.query, "Accept", "text/csv")
		require.Equal(t, "text/csv; charset=utf-8; header=present", resp.Header.Get("Content-Type"))
		table := tableOf(t, body)
		require.Len(t, table, c.rows+1)
		require.Equal(t, api.EscalationColumns, table[0])
		for i, cells := range table[1:] {
			require.Equal(t, rows[i].Cells(), cells)
			require.False(t, strings.HasPrefix(cells[6], "="), cells[6])
		}

		if c.rows > 0 {
			require.Equal(t, rows[0], decoded[api.QueryAnswer](t, second(w.want("/v1/escalations?"+c.query))).Rows[0])
			last := rows[c.rows-1]
			page := decoded[api.QueryAnswer](t, second(w.want(fmt.Sprint("/v1/escalations?limit=1&cursor=", last.Record-1))))
			require.Equal(t, last, page.Rows[0], "the record of a row is a cursor")
		}
	}
}

func second(_ *http.Response, body string) string { return body }

func TestHTTPList_FormsOfIncidentsAndStats(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	several(t, w.env)
	incidents := decoded[api.IncidentAnswer](t, second(w.want("/v1/incidents"))).Rows
	require.NotEmpty(t, incidents)
	require.Equal(t, incidents, linesOf[api.IncidentRow](t, second(w.want("/v1/incidents", "Accept", "application/jsonl"))))
	table := tableOf(t, second(w.want("/v1/incidents", "Accept", "text/csv")))
	resp, body := w.want("/v1/incidents", "Accept", "application/json;q=0.1, text/csv; profile=excel")
	require.Equal(t, "text/csv; charset=utf-8; header=present; profile=excel", resp.Header.Get("Content-Type"))
	plain, marked := strings.CutPrefix(body, "\uFEFF")
	require.True(t, marked, "the byte order mark, by which Excel knows UTF-8")
	require.Equal(t, table, tableOf(t, plain))
	require.Equal(t, api.IncidentColumns, table[0])
	for i, r := range incidents {
		require.Equal(t, r.Cells(), table[i+1])
	}
	stats := decoded[api.StatsAnswer](t, second(w.want("/v1/stats?by=desk"))).Rows
	require.NotEmpty(t, stats)
	require.Equal(t, stats, linesOf[api.StatsRow](t, second(w.want("/v1/stats?by=desk", "Accept", "application/jsonl"))))
	table = tableOf(t, second(w.want("/v1/stats?by=desk", "Accept", "text/csv")))
	require.Equal(t, api.StatsColumns, table[0])
	for i, r := range stats {
		require.Equal(t, r.Cells(), table[i+1])
	}
	for _, form := range []string{"application/jsonl", "text/csv"} { // a fault is a problem in every form
		require.Equal(t, "$.cursor", w.refused(http.StatusBadRequest, "/v1/incidents?cursor=x", "Accept", form).Errors[0].Path)
	}
}

// faulty adds a list whose third page never arrives: it blocks, or fails.
func faulty(waiting chan<- struct{}) func(*httpAPI) {
	return func(d *httpAPI) {
		rows := table[api.StatsRow]{
			columns: api.StatsColumns,
			ask: func(ctx context.Context, cursor string, _ int) (any, []api.StatsRow, string, error) {
				if cursor == "2" && waiting != nil {
					waiting <- struct{}{}
					<-ctx.Done()
					return nil, nil, "", ctx.Err()
				} else if cursor == "2" {
					return nil, nil, "", fmt.Errorf("the third page: %w", errNoIndex)
				}
				next := "1"
				if cursor == "1" {
					next = "2"
				}
				return nil, []api.StatsRow{{Value: "page " + cursor}}, next, nil
			},
		}
		huma.Register(d.api, d.listing("faulty", "test", "", "", httpedge.Schema[api.StatsAnswer](d.api), httpedge.Schema[api.StatsRow](d.api), nil),
			func(context.Context, *struct{}) (*httpedge.Raw, error) { return rows.answer(d, "", 0), nil })
	}
}

func TestHTTPList_InterruptedHasNoLastChunk(t *testing.T) {
	t.Parallel()
	w := onWeb(t, faulty(nil))
	for _, form := range []string{formLines, formCSV} {
		resp := w.open(ledgertest.Anyone(t), http.MethodGet, "/v1/faulty", "Accept", form)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Contains(t, string(body), "page 1", "what there was came")
	}
}

func TestHTTPList_EndsWithItsClient(t *testing.T) {
	t.Parallel()
	const most = maxExports / 2 // the share of one address
	waiting := make(chan struct{}, most+1)
	w := onWeb(t, faulty(waiting))
	ctx, cancel := context.WithCancel(ledgertest.Anyone(t))
	defer cancel()
	for range most {
		require.Equal(t, http.StatusOK, w.open(ctx, http.MethodGet, "/v1/faulty", "Accept", formCSV).StatusCode)
	}
	for range most {
		<-waiting
	}
	require.Contains(t, w.refused(http.StatusTooManyRequests, "/v1/faulty", "Accept", formCSV).Detail, "too many")
	w.want("/v1/faulty") // a page is not counted
	cancel()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(ledgertest.Anyone(t))
		defer cancel()
		return w.open(ctx, http.MethodGet, "/v1/faulty", "Accept", formCSV).StatusCode == http.StatusOK
	}, 30*time.Second, 5*time.Millisecond)
}

// listener reads server-sent events.
type listener struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

func (w *web) listen(ctx context.Context, query string, header ...string) *listener {
	w.t.Helper()
	resp := w.open(ctx, http.MethodGet, "/v1/escalations?"+query, append(header, "Accept", "text/event-stream")...)
	require.Equal(w.t, http.StatusOK, resp.StatusCode)
	require.Equal(w.t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(w.t, "no-store", resp.Header.Get("Cache-Control"))
	l := &listener{w.t, resp, bufio.NewReader(resp.Body)}
	require.Contains(w.t, l.block(), "retry")
	return l
}

// block reads up to an empty line.
func (l *listener) block() map[string]string {
	l.t.Helper()
	out := map[string]string{}
	for {
		line, err := l.in.ReadString('\n')
		require.NoError(l.t, err)
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return out
		}
		name, value, _ := strings.Cut(line, ": ")
		out[name] = value
	}
}

// next reads the next event.
func (l *listener) next() api.EscalationRow {
	l.t.Helper()
	b := l.block()
	require.Equal(l.t, "escalation", b["event"], b)
	row := decoded[api.EscalationRow](l.t, b["data"])
	require.Equal(l.t, fmt.Sprint(row.Record), b["id"])
	return row
}

func TestEvents_SendNewEscalations(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	commit(t, w.env, ledgertest.Escalated(1, nil), ledgertest.Escalated(2, nil))
	all, desk := w.listen(ledgertest.Anyone(t), ""), w.listen(ledgertest.Anyone(t), "desk=national-cyberspace")
	resumed, limited := w.listen(ledgertest.Anyone(t), "", "Last-Event-ID", "1"), w.listen(ledgertest.Anyone(t), "cursor=0&limit=3")
	commit(t, w.env, ledgertest.Escalated(3, nil), ledgertest.Acknowledged(1, "protection-energy", ledgertest.Nine))
	commit(t, w.env, ledgertest.Escalated(4, func(e *event.Escalated) { e.Desk = "national-cyberspace" }))
	require.Equal(t, []int{3, 4}, []int{all.next().Revision, all.next().Revision})
	row := desk.next()
	require.Equal(t, 4, row.Revision)
	require.Equal(t, decoded[api.QueryAnswer](t, second(w.want("/v1/escalations?desk=national-cyberspace"))).Rows, []api.EscalationRow{row})
	require.Equal(t, []int{2, 3, 4}, []int{resumed.next().Revision, resumed.next().Revision, resumed.next().Revision})
	require.Equal(t, []int{1, 2, 3}, []int{limited.next().Revision, limited.next().Revision, limited.next().Revision})
	rest, err := io.ReadAll(limited.in)
	require.NoError(t, err)
	require.Empty(t, rest, "it has had what it wanted")

	var missed []event.Record
	for n := range 2*index.PageRows + 5 {
		missed = append(missed, ledgertest.Escalated(n+5, nil))
	}
	commit(t, w.env, missed...)
	again := w.listen(ledgertest.Anyone(t), "cursor=1", "Last-Event-ID", fmt.Sprint(row.Record))
	for n := range missed {
		require.Equal(t, n+5, again.next().Revision)
		require.Equal(t, n+5, all.next().Revision)
	}
}

func TestEvents_HeartbeatWhileIdle(t *testing.T) {
	t.Parallel()
	w := onWeb(t, func(d *httpAPI) { d.heartbeat = 20 * time.Millisecond })
	l := w.listen(ledgertest.Anyone(t), "desk=nobody")
	require.Equal(t, map[string]string{"": "nothing new"}, l.block())
	require.Equal(t, map[string]string{"": "nothing new"}, l.block())
}

func TestEvents_InvalidQueries(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	sample(t, w.env)
	for query, path := range map[string]string{"overdue=true": "$.overdue", "cursor=x": "$.cursor", "cursor=11": "$.cursor", "since=x": "$.since", "grade=huge": "$.grade"} {
		p := w.refused(http.StatusBadRequest, "/v1/escalations?"+query, "Accept", "text/event-stream")
		require.Equal(t, path, p.Errors[0].Path, query)
	}
	require.Contains(t, w.refused(http.StatusBadRequest, "/v1/escalations", "Accept", "text/event-stream", "Last-Event-ID", "99").Errors[0].Message, "10")
	resp := w.open(ledgertest.Anyone(t), http.MethodHead, "/v1/escalations", "Accept", "text/event-stream")
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
}

func TestEvents_EndWithTheServer(t *testing.T) {
	t.Parallel()
	w := onWeb(t, nil)
	commit(t, w.env, ledgertest.Escalated(1, nil))
	l := w.listen(ledgertest.Anyone(t), "cursor=0")
	l.next()
	ctx, cancel := context.WithTimeout(ledgertest.Anyone(t), 5*time.Second)
	defer cancel()
	require.NoError(t, w.server.Config.Shutdown(ctx))
	rest, err := io.ReadAll(l.in)
	require.NoError(t, err)
	require.Empty(t, rest)
}

func TestEvents_ListenersAreBounded(t *testing.T) {
	t.Parallel()
	w := onWeb(t, func(d *httpAPI) { d.listeners = httpedge.NewStreams(4, time.Now) })
	ctx, cancel := context.WithCancel(ledgertest.Anyone(t))
	defer cancel()
	w.listen(ctx, "")
	w.listen(ctx, "")
	w.refused(http.StatusTooManyRequests, "/v1/escalations", "Accept", "text/event-stream") // one address may have half of them
	cancel()
	require.Eventually(t, func() bool {
		return w.open(ledgertest.Anyone(t), http.MethodGet, "/v1/escalations", "Accept", "text/event-stream").StatusCode == http.StatusOK
	}, 30*time.Second, 5*time.Millisecond)
}

// For any page sizes, all rows are sent, in order and once.
func TestHTTPList_SendsPagesUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, page, limit, want int }{{0, 3, 0, 0}, {7, 3, 0, 7}, {6, 3, 0, 6}, {7, 3, 4, 4}, {7, 3, 3, 3}, {7, 3, 100, 7}, {7, 1, 2, 2}} {
		var got bytes.Buffer
		flushed := 0
		l := table[api.StatsRow]{ask: func(_ context.Context, cursor string, limit int) (any, []api.StatsRow, string, error) {
			from := 0
			_, _ = fmt.Sscan(cursor, &from)
			if from > c.rows {
				return nil, nil, "", errors.New("beyond the end")
			}
			to := min(c.rows, from+c.page)
			if limit > 0 {
				to = min(to, from+limit)
			}
			out := []api.StatsRow{}
			for i := from; i < to; i++ {
				out = append(out, api.StatsRow{Escalations: uint64(i)})
			}
			if to < c.rows {
				return nil, out, fmt.Sprint(to), nil
			}
			return nil, out, "", nil
		}}
		_, first, next, err := l.ask(ledgertest.Anyone(t), "", c.limit)
		require.NoError(t, err)
		err = l.send(ledgertest.Anyone(t), func(rows []api.StatsRow) error { return json.NewEncoder(&got).Encode(rows) }, func() error { flushed++; return nil }, first, next, c.limit)
		require.NoError(t, err)
		n := uint64(0)
		for line := range strings.Lines(got.String()) {
			for _, r := range decoded[[]api.StatsRow](t, line) {
				require.Equal(t, n, r.Escalations)
				n++
			}
		}
		require.EqualValues(t, c.want, n, c)
		require.Equal(t, max(1, (c.want+c.page-1)/c.page), flushed, "after each page")
	}
}
