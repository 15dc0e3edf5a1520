// Package httpedge is what every HTTP door shares: answers in JSON, problems
// (RFC 9457), and the limits of the server.
package httpedge

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Problem is an RFC 9457 problem detail. Its type is about:blank, so its title
// is the phrase of its status.
type Problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []fault.Detail `json:"errors,omitempty"` // every fault, with its path
	// Receipt is the receipt of the report that the problem is about.
	Receipt *event.Receipt `json:"receipt,omitempty"`
}

// Write answers with a problem.
func Write(w http.ResponseWriter, p Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	write(w, "application/problem+json", p.Status, p)
}

// NotFound answers that nothing is here.
func NotFound(w http.ResponseWriter, _ *http.Request) {
	Write(w, Problem{Status: http.StatusNotFound})
}

// MethodNotAllowed answers that only the given method is taken.
func MethodNotAllowed(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allowed)
		Write(w, Problem{Status: http.StatusMethodNotAllowed, Detail: "only " + allowed + " is taken here"})
	}
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
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the peer may be gone
}

// Server returns a server for h that gives no peer a connection for ever.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10, // ce- headers of an event have 256 KiB at most
	}
}
