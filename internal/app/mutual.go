package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/httpedge"
)

// clientCertInterval is how often the certificates of connected clients are checked.
const clientCertInterval = time.Second

// clientCerts closes the connections of clients whose certificate has expired, whose
// authority is no longer trusted, or whose identity has lost the certificate. TLS
// checks only at the handshake, and a connection may last for days.
type clientCerts struct {
	certificates *certificates
	identities   httpedge.Authority

	mu    sync.Mutex
	conns map[net.Conn]bool // that have sent a request; true if an identity has the certificate
}

func newClientCerts(c *certificates, identities httpedge.Authority) *clientCerts {
	return &clientCerts{certificates: c, identities: identities, conns: map[net.Conn]bool{}}
}

// connState tracks the connections, for http.Server.
func (m *clientCerts) connState(conn net.Conn, s http.ConnState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch s {
	case http.StateActive:
		m.conns[conn] = m.conns[conn] || m.hasIdentity(conn)
	case http.StateClosed, http.StateHijacked:
		delete(m.conns, conn)
	}
}

// run checks the connections until ctx ends.
func (m *clientCerts) run(ctx context.Context) {
	tick := time.NewTicker(clientCertInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.check()
		case <-ctx.Done():
			return
		}
	}
}

func (m *clientCerts) check() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn, had := range m.conns {
		secured, ok := conn.(*tls.Conn)
		if !ok {
			continue
		}
		state := secured.ConnectionState() // the handshake is over: it has sent a request
		if len(state.VerifiedChains) == 0 {
			continue
		}
		has := m.hasIdentity(conn)
		if m.verify(&state) != nil || had && !has {
			_ = conn.Close()
			delete(m.conns, conn)
			continue
		}
		m.conns[conn] = has
	}
}

// hasIdentity reports whether an identity has the certificate of a connection.
func (m *clientCerts) hasIdentity(conn net.Conn) bool {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return false
	}
	chain := secured.ConnectionState().PeerCertificates // the handshake is over: it sends a request
	if len(chain) == 0 {
		return false
	}
	_, has := m.identities.Certificate(chain[0].RawSubjectPublicKeyInfo)
	return has
}

// errNotVerified is of a client's certificate that would no longer be accepted.
var errNotVerified = errors.New("the client certificate has expired, or its authority is no longer trusted")

// verify verifies the certificate of a client against the current authority.
func (m *clientCerts) verify(state *tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	authority := m.certificates.latest().ClientCAs
	if authority == nil {
		return errNotVerified
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: authority, Intermediates: intermediates, CurrentTime: clock.System{}.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return errNotVerified
	}
	return nil
}

// requireValid refuses requests with a certificate that is no longer valid, and closes
// their connection.
func (m *clientCerts) requireValid(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			if err := m.verify(r.TLS); err != nil {
				w.Header().Set("Connection", "close")
				httpedge.Write(w, httpedge.NewProblem(http.StatusUnauthorized, err.Error()))
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
