// Package interop logs people in with a third party's OpenID Connect provider, as a
// browser would, and uses their tokens with the program. It is a module of its own, so
// that the product does not depend on the provider.
package interop

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"golang.org/x/oauth2"
)

// What the provider has: two people, each with this password, and two who rely on it.
const (
	password     = "verysecure"
	ours, secret = "tocsin", "secret"
	another      = "another"
	callback     = "http://127.0.0.1/callback" // where a browser is sent to; nobody listens there
)

func newProvider(t *testing.T) (issuer string) {
	t.Helper()
	var provider http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	issuer = server.URL + "/"
	storage.RegisterClients(storage.WebClient(ours, secret, callback), storage.WebClient(another, secret, callback))
	provider = exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.New(slog.DiscardHandler), false)
	return issuer
}

// login does what a person does in a browser, for a client: it returns the token that
// identifies the person.
func login(t *testing.T, issuer, client, person string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var code string
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	found, err := oidc.NewProvider(t.Context(), issuer)
	require.NoError(t, err)
	flow := oauth2.Config{ClientID: client, ClientSecret: secret, RedirectURL: callback, Scopes: []string{oidc.ScopeOpenID}, Endpoint: found.Endpoint()}
	verifier := oauth2.GenerateVerifier()
	page, err := browser.Get(flow.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	require.NoError(t, err)
	said, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	page.Body.Close()
	require.Equal(t, "/login/username", page.Request.URL.Path, "it does not ask who that is: %s", said)
	page, err = browser.PostForm(page.Request.URL.String(), url.Values{
		"id": {page.Request.URL.Query().Get("authRequestID")}, "username": {person}, "password": {password},
	})
	require.NoError(t, err)
	page.Body.Close()
	require.NotEmpty(t, code, "%s: %s", page.Request.URL, page.Status)
	token, err := flow.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	id, ok := token.Extra("id_token").(string)
	require.True(t, ok)
	return id
}

// product is the program, with a folder of its own.
type product struct {
	t            *testing.T
	binary, data string
	http         string
}

func build(t *testing.T) *product {
	t.Helper()
	p := &product{t: t, binary: filepath.Join(t.TempDir(), "tocsin"), data: filepath.Join(t.TempDir(), "data")}
	c := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "./cmd/tocsin")
	c.Dir = "../../.."
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return p
}

func (p *product) run(args ...string) {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), p.binary, append(args, "--data", p.data)...).CombinedOutput()
	require.NoError(p.t, err, "%s", out)
}

// serve starts the server, until the test ends.
func (p *product) serve(args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	nats := freePort(p.t)
	p.http = freePort(p.t)
	var said strings.Builder
	c := exec.CommandContext(ctx, p.binary, append([]string{"serve", "--data", p.data, "--nats-listen", nats, "--http-listen", p.http}, args...)...)
	c.Stdout, c.Stderr = &said, &said
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	require.NoError(p.t, c.Start())
	p.t.Cleanup(func() {
		cancel()
		_ = c.Wait()
		if p.t.Failed() {
			p.t.Log(said.String())
		}
	})
	require.Eventually(p.t, func() bool {
		resp, err := http.Get("http://" + p.http + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// ask sends a request to the log with a token.
func (p *product) ask(method, path, token string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.http+path, strings.NewReader("{}"))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(raw)
}

// A person with an identity logs in with the provider and has that identity's
// permissions. Nobody else has any: another person of the same provider, the same person
// for another client, an altered token, a revoked person.
func TestAPersonLogsInWithAProviderThatOthersWrote(t *testing.T) {
	issuer, p := newProvider(t), build(t)
	p.run("init")
	p.run("credential", "add", "regulator", "nation", "--level", "national")
	p.run("credential", "person", "regulator", "nation", "--issuer", issuer, "--subject", "id1")
	p.serve("--oidc-issuer", issuer, "--oidc-client-id", ours)

	const first, second = "test-user@127.0.0.1", "test-user2"
	token := login(t, issuer, ours, first)
	status, body := p.ask(http.MethodGet, "/v1/incidents", token)
	require.Equal(t, http.StatusOK, status, body)
	status, body = p.ask(http.MethodPost, "/v1/reports", token)
	require.Equal(t, http.StatusForbidden, status, "a regulator reports nothing: %s", body)

	head, rest, _ := strings.Cut(token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	stranger := login(t, issuer, ours, second)
	_, rest, _ = strings.Cut(stranger, ".")
	itsClaims, itsSignature, _ := strings.Cut(rest, ".")
	for what, bad := range map[string]string{
		"another person":               stranger,
		"another client":               login(t, issuer, another, first),
		"the signature of another":     head + "." + claims + "." + itsSignature,
		"another's claims":             head + "." + itsClaims + "." + signature,
		"no signature":                 head + "." + claims + ".",
		"an algorithm that signs none": "eyJhbGciOiJub25lIn0." + claims + ".",
	} {
		status, body := p.ask(http.MethodGet, "/v1/incidents", bad)
		require.Equal(t, http.StatusUnauthorized, status, "%s: %s", what, body)
	}

	p.run("credential", "revoke", "regulator", "nation")
	require.Eventually(t, func() bool {
		status, _ := p.ask(http.MethodGet, "/v1/incidents", token)
		return status == http.StatusUnauthorized
	}, 10*time.Second, 50*time.Millisecond)
}
