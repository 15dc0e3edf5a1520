package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/httpedge"
	"github.com/tocsin-project/tocsin/services/ledger/index"
)

const aboutEvents = `As text/event-stream it tells of each new escalation, as it stands when it is sent,
until the client goes: what becomes of one later is not told. It begins after the
record that Last-Event-ID or cursor names, without either at the end of the log as
it is now. When the server stops, the stream ends; go on with Last-Event-ID, and
nothing is missed.`

const (
	heartbeat = 15 * time.Second      // between two signs that the stream is alive
	pollPause = 50 * time.Millisecond // before it checks for new records
	reconnect = 2 * time.Second       // after which a disconnected client comes again
)

// events streams escalations after the query's cursor, up to its limit if it has one.
func (d *httpAPI) events(w http.ResponseWriter, r *http.Request, q api.Query) {
	after, first, err := d.begin(r.Context(), &q)
	if err != nil {
		httpedge.Write(w, d.problem(r.Context(), err))
		return
	}
	d.listeners.Send(w, r, formEvents, func(ctx context.Context, out *httpedge.Stream) error {
		// An id without data is not an event; it sets the position to resume from.
		if _, err := fmt.Fprintf(out, "retry: %d\nid: %d\n\n", reconnect.Milliseconds(), after); err != nil {
			return err
		}
		err := d.sendEvents(ctx, out, q, after, first)
		switch {
		case ctx.Err() != nil:
			return nil // the client is gone, or the server stops: a normal end
		case err != nil:
			d.broken.Add(fmt.Sprintf("escalations: %v", err))
		}
		return err
	})
}

// begin finds the start of a stream and reads its first page, so that faults of the
// request are known before the stream starts.
func (d *httpAPI) begin(ctx context.Context, q *api.Query) (after uint64, first api.QueryAnswer, err error) {
	if q.Overdue {
		return 0, first, fault.Invalid(Name, []fault.Detail{{Path: "$.overdue", Message: "a stream tells of new escalations, of which none is overdue yet"}})
	}
	head, err := d.deps.Bus.Head(ctx)
	if err != nil {
		return 0, first, err
	}
	if q.Cursor == "" {
		q.Cursor = index.Cursor(head)
	}
	if first, err = d.escalations(ctx, *q); err != nil {
		return 0, first, err
	}
	if after, err = index.ParseCursor(q.Cursor); err == nil && after > head {
		err = fault.Invalid(Name, []fault.Detail{{Path: "$.cursor", Message: fmt.Sprintf("is after the last record there is, %d", head)}})
	}
	return after, first, err
}

// sendEvents sends the existing rows and then new ones.
func (d *httpAPI) sendEvents(ctx context.Context, out *httpedge.Stream, q api.Query, after uint64, page api.QueryAnswer) (err error) {
	left := q.Limit
	for {
		for _, row := range page.Rows {
			data, err := json.Marshal(row, event.JSON)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "id: %d\nevent: escalation\ndata: %s\n\n", row.Record, data); err != nil {
				return err
			}
			after = row.Record
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if left -= len(page.Rows); q.Limit > 0 && left <= 0 {
			return nil
		}
		seen, err := lastCovered(page)
		if err != nil {
			return err
		}
		after = max(after, seen)
		if page.Next == "" {
			if err := d.wait(ctx, out, after); err != nil {
				return err
			}
		}
		q.Cursor, q.Limit = index.Cursor(after), max(left, 0)
		if page, err = d.escalations(ctx, q); err != nil {
			return err
		}
	}
}

// lastCovered returns the last record that a page covers. A page that ended early may have no
// rows although more follow.
func lastCovered(page api.QueryAnswer) (uint64, error) {
	if page.Next == "" {
		return page.Through, nil
	}
	return index.ParseCursor(page.Next)
}

// wait returns when there are records after the given one. It pauses before it checks, so
// that a fast-growing log is not queried again for every record.
func (d *httpAPI) wait(ctx context.Context, out *httpedge.Stream, after uint64) error {
	select {
	case <-time.After(pollPause):
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		beat, cancel := context.WithTimeout(ctx, d.heartbeat)
		err := d.waitBeyond(beat, after)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if _, err := out.Write([]byte(": nothing new\n\n")); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}
