//go:build unix

package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificate writes a certificate with a serial number, and its key.
func certificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

func (s *server) logged(text string) int {
	s.t.Helper()
	raw, err := os.ReadFile(s.log.Name())
	require.NoError(s.t, err)
	return strings.Count(string(raw), text)
}

// TestServe_HangupWithoutTLS sends SIGHUP to a server that has nothing to reload.
func TestServe_HangupWithoutTLS(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return s.logged("reloaded certificates and accounts") == 1 }, time.Minute, 10*time.Millisecond)
	answer, err := http.Get("http://" + s.http + "/readyz")
	require.NoError(t, err, "SIGHUP ends no server")
	require.NoError(t, answer.Body.Close())
}

// TestServe_HangupReloadsTheCertificate replaces a certificate by one with the same
// dates, which only SIGHUP finds; an unreadable one changes nothing.
func TestServe_HangupReloadsTheCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	dated := time.Now().Add(-time.Minute)
	date := func() {
		require.NoError(t, os.Chtimes(cert, dated, dated))
		require.NoError(t, os.Chtimes(key, dated, dated))
	}
	certificate(t, cert, key, 1)
	date()
	s := startServer(t, "--tls-cert", cert, "--tls-key", key)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", s.http, &tls.Config{InsecureSkipVerify: true}) // only the serial number matters
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	require.EqualValues(t, 1, serial())
	certificate(t, cert, key, 2)
	date()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return serial() == 2 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, os.WriteFile(cert, []byte("no certificate"), 0o600))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return s.logged("cannot reload the certificate; the one before stays in use") > 0 }, time.Minute, 10*time.Millisecond)
	require.EqualValues(t, 2, serial())
}
