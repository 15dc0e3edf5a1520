package app_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// token returns the token for HTTP that an identity has from the start.
func (g *guarded) token(role identity.Role, id string) string {
	g.t.Helper()
	token := g.tokens[identity.Identity{Role: role, ID: id}.String()]
	require.NotEmpty(g.t, token)
	return token
}

// newToken makes a further token for an identity, and returns when the server knows it.
func (g *guarded) newToken(role identity.Role, id string) string {
	g.t.Helper()
	token, kept := credential.NewToken(time.Now(), time.Hour)
	require.NoError(g.t, g.folder.Change(role, id, func(h *credential.Holder) error {
		h.Tokens = append(h.Tokens, kept)
		return nil
	}))
	require.Eventually(g.t, func() bool {
		status, _ := g.http(http.DefaultClient, token, "GET", "/v1/log", "")
		return status != http.StatusUnauthorized
	}, 30*time.Second, 20*time.Millisecond)
	return token
}

// http sends a request with a token, or with none.
func (g *guarded) http(c *http.Client, token, method, path, body string) (status int, answer string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.app.HTTPAddr()+path, strings.NewReader(body))
	require.NoError(g.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/cloudevents+json")
		if strings.HasPrefix(body, "[") {
			req.Header.Set("Content-Type", "application/cloudevents-batch+json")
		}
	}
	resp, err := c.Do(req)
	require.NoError(g.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	return resp.StatusCode, string(raw)
}

// Over HTTP each identity may do what the table says, and an unknown caller nothing.
func TestIdentitiesOverHTTP(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	tokens := map[identity.Role]string{
		identity.Operator: g.token(identity.Operator, "grid-east"), identity.Desk: g.token(identity.Desk, "protection-energy"),
		identity.Regulator: g.token(identity.Regulator, "xinjiang"), identity.Admin: g.token(identity.Admin, "admin"), "": "",
	}
	ask := func(role identity.Role, method, path, body string) (int, string) {
		return g.http(http.DefaultClient, tokens[role], method, path, body)
	}
	status, body := ask(identity.Operator, "POST", "/v1/reports", string(threat("i1")))
	require.Equal(t, http.StatusOK, status, body)
	status, body = ask(identity.Operator, "POST", "/v1/reports", strings.Replace(string(threat("i2")), "operator:grid-east", "operator:xj-hydro", 1))
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "names the operator xj-hydro")
	require.Eventually(t, func() bool { // a checkpoint covers it
		status, _ := ask(identity.Admin, "GET", "/v1/log/records/2/proof", "")
		return status == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond)
	for path, may := range map[string][]identity.Role{
		"/v1/escalations":             {identity.Desk, identity.Regulator, identity.Admin},
		"/v1/incidents":               {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/incidents/grid-east/i1":  {identity.Admin}, // the regulator may ask, and it is none of its own
		"/v1/stats?by=grade":          {identity.Desk, identity.Regulator, identity.Admin},
		"/v1/log":                     {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/log/checkpoint":          {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/log/tile/0/000.p/1":      {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/log/records/2/proof":     {identity.Admin},
		"/v1/log/key":                 {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/log/records/2":           {identity.Admin},
		"/v1/exercise/log":            {identity.Operator, identity.Desk, identity.Regulator, identity.Admin},
		"/v1/exercise/stats?by=grade": {identity.Desk, identity.Regulator, identity.Admin},
		"/metrics":                    {identity.Admin},
		"/healthz":                    {identity.Operator, identity.Desk, identity.Regulator, identity.Admin, ""},
		"/openapi.json":               {identity.Operator, identity.Desk, identity.Regulator, identity.Admin, ""},
	} {
		for role := range tokens {
			status, body := ask(role, "GET", path, "")
			allowed := false
			for _, r := range may {
				allowed = allowed || r == role
			}
			require.Equal(t, allowed, status == http.StatusOK, "%s %q: %d %s", path, role, status, body)
			if role == "" && !allowed {
				require.Equal(t, http.StatusUnauthorized, status)
			}
		}
	}
	for _, role := range []identity.Role{identity.Desk, identity.Regulator, identity.Admin} {
		for _, path := range []string{"/v1/reports", "/v1/exercise/reports"} {
			status, _ := ask(role, "POST", path, string(threat("i3")))
			require.Equal(t, http.StatusForbidden, status)
		}
	}
	_, body = ask(identity.Regulator, "GET", "/v1/incidents", "")
	require.NotContains(t, body, "grid")
	for _, role := range []identity.Role{identity.Operator, identity.Desk, identity.Regulator} {
		status, _ = ask(role, "GET", "/v1/log/records/2", "")
		require.Equal(t, http.StatusForbidden, status)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		_, body = ask("", "GET", path, "")
		require.JSONEq(t, `{"status":"ok"}`, body, "nothing else is for strangers")
		_, body = ask(identity.Desk, "GET", path, "")
		require.JSONEq(t, `{"status":"ok"}`, body)
		_, body = ask(identity.Admin, "GET", path, "")
		require.Contains(t, body, "lastAlive")
	}
	_, body = ask(identity.Operator, "GET", "/v1/incidents", "")
	require.Contains(t, body, "grid i1")
	for _, header := range []string{"Basic x", "Bearer", "Bearer ", "bearer t-admin-admin2", "Token " + tokens[identity.Admin]} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.app.HTTPAddr()+"/v1/log", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode, header)
		require.Contains(t, resp.Header.Get("WWW-Authenticate"), "Bearer")
	}
	_, body = ask(identity.Admin, "GET", "/metrics", "")
	require.Contains(t, body, "tocsin_refused_requests_total")
}

// A listener is cut off when its credential is revoked or replaced.
func TestEventStream_EndsWithItsCredential(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*guarded) error{
		"revoked": func(g *guarded) error { return g.folder.Revoke(identity.Regulator, "nation", time.Now()) },
		"rotated": func(g *guarded) error {
			_, err := g.folder.Rotate(identity.Regulator, "nation", nil, time.Now(), 0)
			return err
		},
		"token voided": func(g *guarded) error {
			return g.folder.Change(identity.Regulator, "nation", func(h *credential.Holder) error { h.Tokens = nil; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endsListening(t, end)
		})
	}
}

func endsListening(t *testing.T, end func(*guarded) error) {
	g := startGuarded(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), "GET", g.app.HTTPAddr()+"/v1/escalations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+g.token(identity.Regulator, "nation"))
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, resp.Body)
	}()
	require.NoError(t, end(g))
	select {
	case <-ended:
	case <-time.After(waitLimit):
		require.Fail(t, "it still listens")
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(raw)
	require.NoError(t, err)
	a.write("ca.pem", "CERTIFICATE", raw)
	return a
}

func (a *authority) write(name, kind string, raw []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
	return path
}

// issue writes a certificate and its key, and returns the hash of its public key.
func (a *authority) issue(name string, serial int64) (cert, key, spki string) {
	a.t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &pair.PublicKey, a.key)
	require.NoError(a.t, err)
	parsed, err := x509.ParseCertificate(raw)
	require.NoError(a.t, err)
	secret, err := x509.MarshalECPrivateKey(pair)
	require.NoError(a.t, err)
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	return a.write(name+".pem", "CERTIFICATE", raw), a.write(name+".key", "EC PRIVATE KEY", secret), hex.EncodeToString(sum[:])
}

// TLS on both ports, certificates that are replaced at run time, and a client that
// authenticates by certificate.
func TestTLS_FollowsItsFiles(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key, _ := ca.issue("server", 2)
	clients := filepath.Join(t.TempDir(), "clients.pem")
	mayCertify := func(a *authority) {
		pem, err := os.ReadFile(filepath.Join(a.dir, "ca.pem"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(clients, pem, 0o600))
	}
	mayCertify(ca)
	var log lockedBuffer
	g := startGuarded(t, func(cfg *app.Config) {
		cfg.TLS, cfg.Log = &app.TLS{Cert: cert, Key: key, ClientCA: clients}, logTo(&log)
	})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	browser := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs}, DisableKeepAlives: true}}
	}
	status, _ := g.http(browser(), "", "GET", "/healthz", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = g.http(browser(), "", "GET", "/v1/log", "")
	require.Equal(t, http.StatusUnauthorized, status)

	// A certificate that somebody has.
	clientCert, clientKey, spki := ca.issue("client", 3)
	require.NoError(t, g.folder.Change(identity.Regulator, "nation", func(h *credential.Holder) error {
		h.Certs = append(h.Certs, credential.Cert{SPKI: spki})
		return nil
	}))
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, _ := g.http(browser(pair), "", "GET", "/v1/escalations", "")
		return status == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	strangerCert, strangerKey, _ := ca.issue("stranger", 4) // which the authority signed, and nobody has
	stranger, err := tls.LoadX509KeyPair(strangerCert, strangerKey)
	require.NoError(t, err)
	status, body := g.http(browser(stranger), "", "GET", "/v1/escalations", "")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "no identity has this certificate")
	other := newAuthority(t)
	forgedCert, forgedKey, _ := other.issue("client", 3)
	forged, err := tls.LoadX509KeyPair(forgedCert, forgedKey)
	require.NoError(t, err)
	_, err = browser(forged).Get(g.app.HTTPAddr() + "/v1/escalations")
	require.Error(t, err)

	// NATS: encrypted, and not without.
	c, err := client.Dial(g.app.NATSAddr(), waitLimit, nats.UserCredentials(g.creds(identity.Operator, "grid-east")), nats.RootCAs(filepath.Join(ca.dir, "ca.pem")))
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Log(t.Context())
	require.NoError(t, err)
	_, err = client.Dial(g.app.NATSAddr(), time.Second, nats.UserCredentials(g.creds(identity.Operator, "grid-east")))
	require.Error(t, err, "whose authority it does not know")

	// Another certificate replaces the first, at both ports, and connected clients stay
	// connected.
	overHTTP := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.app.HTTPAddr(), "https://"), &tls.Config{RootCAs: pool})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	overNATS := func() int64 {
		nc, err := nats.Connect(g.app.NATSAddr(), nats.UserCredentials(g.creds(identity.Operator, "grid-east")), nats.RootCAs(filepath.Join(ca.dir, "ca.pem")))
		require.NoError(t, err)
		defer nc.Close()
		state, err := nc.TLSConnectionState()
		require.NoError(t, err)
		return state.PeerCertificates[0].SerialNumber.Int64()
	}
	stays, err := nats.Connect(g.app.NATSAddr(), nats.UserCredentials(g.creds(identity.Operator, "grid-east")), nats.RootCAs(filepath.Join(ca.dir, "ca.pem")), nats.NoReconnect())
	require.NoError(t, err)
	defer stays.Close()
	require.EqualValues(t, 2, overHTTP())
	require.EqualValues(t, 2, overNATS())
	nextCert, nextKey, _ := ca.issue("next", 5)
	for from, to := range map[string]string{nextCert: cert, nextKey: key} {
		require.NoError(t, os.Rename(from, to))
	}
	require.Eventually(t, func() bool { return overHTTP() == 5 && overNATS() == 5 }, 30*time.Second, 50*time.Millisecond)
	_, err = stays.Request(api.EndpointLog, []byte("{}"), waitLimit)
	require.NoError(t, err)

	// One that comes without its key does not: the previous one stays in use.
	loneCert, _, _ := ca.issue("lone", 6)
	logged := len(log.String())
	require.NoError(t, os.Rename(loneCert, cert))
	require.Eventually(t, func() bool {
		require.EqualValues(t, 5, overHTTP())
		require.EqualValues(t, 5, overNATS())
		return strings.Count(log.String()[logged:], "cannot reload the certificate") == 2
	}, waitLimit, 50*time.Millisecond, "both ports have read the files again")

	// Another authority certifies clients.
	lastCert, lastKey, _ := ca.issue("last", 7)
	for from, to := range map[string]string{lastCert: cert, lastKey: key} {
		require.NoError(t, os.Rename(from, to))
	}
	mayCertify(other)
	require.Eventually(t, func() bool {
		resp, err := browser(forged).Get(g.app.HTTPAddr() + "/v1/escalations")
		if err != nil {
			return false
		}
		resp.Body.Close()
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "nobody has it")
		return true
	}, 30*time.Second, 50*time.Millisecond)
	_, err = browser(pair).Get(g.app.HTTPAddr() + "/v1/escalations")
	require.Error(t, err, "whose authority certifies nobody any more")
	require.Eventually(t, func() bool { return overHTTP() == 7 && overNATS() == 7 }, 30*time.Second, 50*time.Millisecond)
}

// A process that others can reach starts only with identities and TLS.
func TestStart_BeyondLoopbackNeedsIdentitiesAndTLS(t *testing.T) {
	t.Parallel()
	start := func(dir string, tlsFiles *app.TLS) error {
		a, err := app.Start(t.Context(), configIn(t, dir, func(cfg *app.Config) { cfg.HTTPListen, cfg.NATSListen, cfg.TLS = "0.0.0.0:0", "127.0.0.1:0", tlsFiles }))
		if err == nil {
			a.Stop()
		}
		return err
	}
	ca := newAuthority(t)
	cert, key, _ := ca.issue("server", 2)
	files := &app.TLS{Cert: cert, Key: key}
	dir := t.TempDir()
	require.ErrorContains(t, start(dir, files), "tocsin init")
	require.NoError(t, credential.Init(credential.In(dir), time.Now()))
	require.ErrorContains(t, start(dir, nil), "--tls-cert")
	require.NoError(t, start(dir, files))
	require.Error(t, start(dir, &app.TLS{Cert: cert, Key: filepath.Join(dir, "missing")}))
}

// No answer over HTTP shows a report's contents to a caller that may not see it.
func TestLog_HasNoPayloads(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := startGuarded(t, func(cfg *app.Config) { cfg.Log = logTo(&log) })
	const marker = "PLANTED-7f3a"
	token := g.token(identity.Operator, "grid-east")
	good := strings.Replace(string(threat("i1")), "grid i1", marker, 1)
	bad := strings.Replace(good, `"dispatch"`, `"`+marker+`"`, 1)
	for _, body := range []string{good, bad, "{" + marker, marker} {
		_, _ = g.http(http.DefaultClient, token, "POST", "/v1/reports", body)
		_, _ = g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", []byte(body))
	}
	_, _ = g.http(http.DefaultClient, marker, "GET", "/v1/log", "")
	r, err := g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", []byte(good))
	require.NoError(t, err)
	require.Contains(t, []string{event.StatusAccepted, event.StatusDuplicate}, r.Status)
	desk := g.as(identity.Desk, "protection-energy")
	require.NoError(t, desk.Watch(t.Context(), "protection-energy", "wall", 1, time.Now, func(_ *event.Escalated, row api.EscalationRow) error {
		_, err := desk.Acknowledge(t.Context(), "protection-energy", row.Escalation, marker)
		return err
	}))
	for _, kind := range []string{event.KindDetermined, event.KindClosed, event.KindAsked, marker} {
		_, _ = desk.Act(t.Context(), event.DeskAct{Kind: kind, Desk: "protection-energy", Operator: "grid-east", Incident: "i1", Officer: marker, Reason: marker, Grade: event.Major, Items: []string{marker}})
	}
	for _, q := range []api.Query{{Text: marker}, {Cursor: marker}, {Grade: marker}, {Statute: marker}} {
		_, _ = desk.Query(t.Context(), q, 0, func(api.EscalationRow) error { return nil })
	}
	for _, path := range []string{"/v1/escalations?text=", "/v1/incidents?since=", "/v1/log?"} {
		_, _ = g.http(http.DefaultClient, token, "GET", path+marker, "")
		_, _ = g.http(http.DefaultClient, "", "GET", path+marker, "")
	}
	for _, frame := range []string{
		"PUB report.grid-east 2\r\n{}" + marker + "\r\n", marker + "\r\n", "PUB " + marker + " " + marker + " " + marker + " x\r\n", "HPUB report.grid-east " + marker + "\r\n",
		"SUB " + marker + strings.Repeat(" "+marker, 1000) + "\r\n", "CONNECT {" + marker + "\r\n",
		"HPUB report.grid-east 40 42\r\nNATS/1.0\r\n" + marker + ": " + marker + "\r\n\r\n{}\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.app.NATSAddr(), "nats://"))
		require.NoError(t, err)
		in := g.authenticate(c, identity.Operator, "grid-east")
		_, err = c.Write([]byte(frame + "PING\r\n"))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(waitLimit)))
		for line := ""; line != "PONG\r\n" && err == nil; { // the server answers, or closes the connection
			line, err = in.ReadString('\n')
		}
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, frame)
		_ = c.Close()
	}
	status, metrics := g.http(http.DefaultClient, g.token(identity.Admin, "admin"), "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, status)
	g.app.Stop()
	require.NotContains(t, metrics, marker)
	for line := range strings.Lines(log.String()) {
		require.NotContains(t, line, marker)
		require.NotContains(t, line, token)
	}
	require.NotEmpty(t, log.String())
}

// With a key nothing of a report can be read in the streams' files; without it, or with
// another key, the server does not start.
func TestStoreKey_EncryptsTheStreams(t *testing.T) {
	t.Parallel()
	const marker, key = "PLANTED-5c21", "a key of at least thirty-two characters"
	keyed := func(key string) func(*app.Config) { return func(cfg *app.Config) { cfg.StoreKey = key } }
	g := startGuarded(t, keyed(key))
	r, err := g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", []byte(strings.Replace(string(threat("i1")), "grid i1", marker, 1)))
	require.NoError(t, err)
	require.NotZero(t, r.Record)
	g.settledHead()
	g.app.Stop()
	files := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(g.dir, "nats"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files++
		require.False(t, bytes.Contains(raw, []byte(marker)), path)
		return err
	}))
	require.Greater(t, files, 3)
	for wrong, why := range map[string]string{"": "are encrypted: give", "another key of thirty-two characters": "another key", "short": "at least 32"} {
		_, err := app.Start(t.Context(), configIn(t, g.dir, keyed(wrong)))
		require.ErrorContains(t, err, why)
	}
	g.app, err = app.Start(t.Context(), configIn(t, g.dir, keyed(key)))
	require.NoError(t, err)
	defer g.app.Stop()
	proof, err := g.as(identity.Operator, "grid-east").Prove(t.Context(), r.Record)
	require.NoError(t, err)
	require.NotEmpty(t, proof)
	plain := startGuarded(t, nil)
	plain.app.Stop()
	_, err = app.Start(t.Context(), configIn(t, plain.dir, keyed(key)))
	require.ErrorContains(t, err, "not encrypted")
}
