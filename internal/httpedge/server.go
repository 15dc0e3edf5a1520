package httpedge

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/listener"
)

// writeTimeout is how long a peer may take to read an answer, or the next part of a
// stream.
const writeTimeout = 60 * time.Second

// Server returns a server for h with a time limit on everything a connection does. When
// it begins to shut down, long streams end: see UntilStop.
func Server(h http.Handler) *http.Server {
	stopping, stop := context.WithCancel(context.Background())
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			setSecurityHeaders(w.Header())
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10, // ce- headers of an event have 256 KiB at most
		// h answers OPTIONS *, too, because it checks permissions.
		DisableGeneralOptionsHandler: true,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), shutdownKey{}, stopping)
		},
	}
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, listener.Of(nc))
	}
	s.RegisterOnShutdown(stop)
	return s
}

// setSecurityHeaders sets the headers that keep a browser from misinterpreting or
// storing an answer (OWASP REST security). A cacheable answer overrides Cache-Control.
func setSecurityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", CacheNever)
}

// connKey is the context key of the request's connection, if it came through a bounded
// port.
type connKey struct{}

// markAuthenticated marks the sender as authenticated, so that its connection is closed
// after those of strangers when the port is full.
func markAuthenticated(ctx context.Context) {
	if c, _ := ctx.Value(connKey{}).(*listener.Conn); c != nil {
		c.MarkAuthenticated()
	}
}

// shutdownKey is the context key of the context that ends when the server begins to shut
// down. It is not the request's own, because requests in flight are finished.
type shutdownKey struct{}

// UntilStop returns a context of a request that also ends when its server begins to shut
// down, for an answer that has no end of its own.
func UntilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopping, ok := ctx.Value(shutdownKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	release := context.AfterFunc(stopping, cancel)
	return ctx, func() { release(); cancel() }
}
