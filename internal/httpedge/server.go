package httpedge

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/tocsin-project/tocsin/internal/listener"
)

// writeWait is how long a peer may take to read an answer, or the next part of
// one that goes on.
const writeWait = 60 * time.Second

// Server returns a server for h that gives no peer a connection for ever. When
// it begins to shut down, what goes on for long ends: see UntilStop.
func Server(h http.Handler) *http.Server {
	stopping, stop := context.WithCancel(context.Background())
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			guard(w.Header())
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeWait,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10, // ce- headers of an event have 256 KiB at most
		// OPTIONS * is asked of h too, which knows who may.
		DisableGeneralOptionsHandler: true,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, stopping)
		},
	}
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, listener.Of(nc))
	}
	s.RegisterOnShutdown(stop)
	return s
}

// guard sets what keeps a browser from making more of an answer than it is, and from
// keeping it (OWASP REST security). An answer that may be kept says so.
func guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", CacheNever)
}

// connKey finds the connection of a request, where it came by a bounded port.
type connKey struct{}

// proved notes that whoever sent a request has shown who they are, so that their
// connection is closed after those of strangers where the port is full.
func proved(ctx context.Context) {
	if c, _ := ctx.Value(connKey{}).(*listener.Conn); c != nil {
		c.Prove()
	}
}

// stoppingKey finds the context that ends when the server begins to shut down.
// It is not the request's own: what is in hand is finished.
type stoppingKey struct{}

// UntilStop returns a context of a request that ends also when its server begins
// to shut down, for an answer that would not end by itself.
func UntilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopping, ok := ctx.Value(stoppingKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	release := context.AfterFunc(stopping, cancel)
	return ctx, func() { release(); cancel() }
}
