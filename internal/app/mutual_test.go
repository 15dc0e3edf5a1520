package app_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// client issues a client certificate for an hour.
func (a *authority) client(serial int64) (pair tls.Certificate, spki string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	return a.brief(serial, key, time.Hour)
}

// brief issues a client certificate of a key that holds for so long.
func (a *authority) brief(serial int64, key *ecdsa.PrivateKey, valid time.Duration) (pair tls.Certificate, spki string) {
	a.t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(valid), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(a.t, err)
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

// A connection that is kept alive ends with the client's certificate, with the authority
// that signed it, and with the credential that has it; another's goes on.
func TestMutualTLS_ClosesConnectionsThatLoseTheirCertificate(t *testing.T) {
	t.Parallel()
	ca, others := newAuthority(t), newAuthority(t)
	cert, key, _ := ca.issue("server", 2)
	clients := filepath.Join(t.TempDir(), "clients.pem")
	trust := func(authorities ...*authority) {
		var all []byte
		for _, a := range authorities {
			pem, err := os.ReadFile(filepath.Join(a.dir, "ca.pem"))
			require.NoError(t, err)
			all = append(all, pem...)
		}
		require.NoError(t, os.WriteFile(clients+".next", all, 0o600))
		require.NoError(t, os.Rename(clients+".next", clients))
	}
	trust(ca, others)
	g := startGuarded(t, func(cfg *app.Config) { cfg.TLS = &app.TLS{Cert: cert, Key: key, ClientCA: clients} })
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	stays, staysKey := ca.client(10)
	expires, expiresKey := ca.client(11)
	removed, removedKey := others.client(12)
	revoked, revokedKey := ca.client(13)
	for id, keys := range map[string][]string{"nation": {staysKey, expiresKey, removedKey}, "xinjiang": {revokedKey}} {
		require.NoError(t, g.folder.Change(identity.Regulator, id, func(h *credential.Holder) error {
			for _, k := range keys {
				h.Certs = append(h.Certs, credential.Cert{SPKI: k})
			}
			return nil
		}))
	}
	dial := func(pair tls.Certificate) (*tls.Conn, func() int) {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.app.HTTPAddr(), "https://"), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		from := bufio.NewReader(conn)
		ask := func() int {
			if _, err := io.WriteString(conn, "GET /v1/log HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return 0
			}
			answer, err := http.ReadResponse(from, nil)
			if err != nil {
				return 0
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			return answer.StatusCode
		}
		return conn, ask
	}
	open := func(pair tls.Certificate) (*tls.Conn, func() int) {
		conn, ask := dial(pair)
		require.Eventually(t, func() bool { return ask() == http.StatusOK }, waitLimit, 20*time.Millisecond)
		return conn, ask
	}
	// expiring answers once over a certificate that ends soon, however busy the machine is.
	expiring := func() *tls.Conn {
		_, _ = open(expires) // its key is known
		for valid := 2 * time.Second; ; valid *= 2 {
			soon, _ := ca.brief(14, expires.PrivateKey.(*ecdsa.PrivateKey), valid)
			if conn, ask := dial(soon); ask() == http.StatusOK {
				return conn
			}
			require.Less(t, valid, waitLimit)
		}
	}
	_, goesOn := open(stays)
	conns := map[string]*tls.Conn{}
	conns["expired"] = expiring()
	conns["of an authority that was removed"], _ = open(removed)
	conns["revoked"], _ = open(revoked)
	trust(ca)
	require.NoError(t, g.folder.Revoke(identity.Regulator, "xinjiang", time.Now()))
	for name, conn := range conns { // nothing is sent: the server ends it
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitLimit)))
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
	}
	require.Equal(t, http.StatusOK, goesOn())
}
