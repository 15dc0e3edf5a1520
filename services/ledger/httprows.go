package ledger

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/httpedge"
)

// The forms of a list. The first is paged, the others are complete.
const (
	formJSON   = "application/json"
	formLines  = "application/x-ndjson"
	formLines2 = "application/jsonl"
	formCSV    = "text/csv"
	formEvents = "text/event-stream"
)

// profileExcel requests CSV with the byte order mark by which Excel recognises UTF-8.
const profileExcel = "excel"

// table is a query that is answered in rows, page by page.
type table[R interface{ Cells() []string }] struct {
	columns []string // of CSV
	// ask returns a page of at most limit rows, 0 for as many as fit, with the cursor of
	// the next page; empty after the last one.
	ask func(ctx context.Context, cursor string, limit int) (answer any, rows []R, next string, err error)
	// events answers with new rows from now on; nil if there is no such form.
	events func(http.ResponseWriter, *http.Request)
}

// answer sends one page, or all rows up to limit, in the form that the request prefers.
// The first page is read before anything is sent, so that faults of the request are
// answered as a problem.
func (l table[R]) answer(d *httpAPI, cursor string, limit int) *httpedge.Raw {
	return httpedge.Answer(func(w http.ResponseWriter, r *http.Request) {
		offers := []string{formJSON, formLines, formLines2, formCSV}
		if l.events != nil {
			offers = append(offers, formEvents)
		}
		w.Header().Set("Vary", "Accept")
		form := httpedge.Negotiate(r.Header, offers...)
		excel := httpedge.Profile(r.Header, formCSV) == profileExcel
		switch form {
		case "":
			httpedge.Write(w, httpedge.NewProblem(http.StatusNotAcceptable, "this can be had as "+strings.Join(offers, ", ")))
			return
		case formEvents:
			l.events(w, r)
			return
		}
		answer, rows, next, err := l.ask(r.Context(), cursor, limit)
		if err != nil {
			httpedge.Write(w, d.problem(r.Context(), err))
			return
		}
		if form == formJSON {
			httpedge.JSON(w, http.StatusOK, answer)
			return
		}
		contentType := form
		if form == formCSV {
			contentType += "; charset=utf-8; header=present"
			if excel {
				contentType += "; profile=" + profileExcel
			}
		}
		d.exports.Send(w, r, contentType, func(ctx context.Context, out *httpedge.Stream) error {
			err := l.send(ctx, l.writer(form, excel, out), out.Flush, rows, next, limit)
			if err != nil && r.Context().Err() == nil {
				d.broken.Add(fmt.Sprintf("export as %s: %v", form, err))
			}
			return err
		})
	})
}

// send writes the first page and all that follow, flushing after each.
func (l table[R]) send(ctx context.Context, write func([]R) error, flush func() error, rows []R, next string, limit int) (err error) {
	left := limit
	for {
		if err := write(rows); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		left -= len(rows)
		if next == "" || limit > 0 && left <= 0 {
			return nil
		}
		if _, rows, next, err = l.ask(ctx, next, max(left, 0)); err != nil {
			return err
		}
	}
}

// writer returns the function that writes rows in a form.
func (l table[R]) writer(form string, excel bool, out *httpedge.Stream) func([]R) error {
	if form != formCSV {
		lines := jsontext.NewEncoder(out)
		return func(rows []R) error {
			for _, r := range rows {
				if err := json.MarshalEncode(lines, r, event.JSON); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if excel {
		_, _ = io.WriteString(out, api.ByteOrderMark) // Flush returns the error
	}
	w := csv.NewWriter(out)
	_ = w.Write(l.columns) // Flush returns the error
	return func(rows []R) error {
		for _, r := range rows {
			_ = w.Write(r.Cells())
		}
		w.Flush()
		return w.Error()
	}
}
