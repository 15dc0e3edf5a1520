// Package httpedge is the common part of all HTTP endpoints: server limits, answers in
// JSON, problems (RFC 9457), cacheable answers (ETag), long streams, and the API whose
// description (OpenAPI 3.1) is generated from the code that answers.
package httpedge

import (
	"net/http"
	"strings"

	json "github.com/go-json-experiment/json/v1"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Problem is an RFC 9457 problem detail, and the error of an operation that answers with
// it. Its type is about:blank, so its title is the standard phrase of its status.
type Problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []fault.Detail `json:"errors,omitempty"` // every fault, with its path
	// Receipt is the receipt of the report that the problem is about.
	Receipt *event.Receipt `json:"receipt,omitempty"`
}

// NewProblem returns a problem as an error.
func NewProblem(status int, detail string, errors ...fault.Detail) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: errors}
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus returns the status of the answer.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of the answer, whatever the request accepts.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders returns Retry-After if trying again may help.
func (p *Problem) GetHeaders() http.Header {
	if p.Status == http.StatusServiceUnavailable {
		return http.Header{"Retry-After": {retryAfter}}
	}
	return nil
}

const (
	problemType = "application/problem+json"
	retryAfter  = "1" // seconds
)

// Write answers with a problem and its headers, except those that the caller has set.
func Write(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		if w.Header().Get(name) == "" {
			w.Header()[name] = values
		}
	}
	answer := *p
	answer.Detail = printable.Line(p.Detail)
	write(w, problemType, p.Status, answer)
}

// Fallback answers requests that no pattern of mux matches: 405 with the allowed
// methods, or 404.
func Fallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" && pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if allowed == nil {
			Write(w, NewProblem(http.StatusNotFound, "no such path"))
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		Write(w, NewProblem(http.StatusMethodNotAllowed, "allowed methods: "+strings.Join(allowed, ", ")))
	})
}

// JSON answers with a JSON value.
func JSON(w http.ResponseWriter, status int, v any) { write(w, "application/json", status, v) }

func write(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the peer may be gone
}
