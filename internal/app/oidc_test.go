package app_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// provider is one of OpenID Connect, with keys of its own.
type provider struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	down   bool
	keysAt string // where it says that its keys are
	keys   map[string]crypto.Signer
	asked  map[string]int // by path
}

const (
	aClient  = "tocsin"
	aSubject = "7d0c2a4e"
)

func newProvider(t *testing.T) *provider {
	t.Helper()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p := &provider{t: t, asked: map[string]int{}, keys: map[string]crypto.Signer{"rsa": commonRSA(), "ec": curve, "ed": edwards}}
	p.server = httptest.NewServer(p)
	p.keysAt = p.server.URL + "/keys"
	t.Cleanup(p.server.Close)
	return p
}

// commonRSA is the RSA key of every provider: to make one takes a tenth of a second.
var commonRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

// ServeHTTP says where the keys are, and what they are.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.URL.Path]++
	if p.down {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		// What it offers is not what is accepted.
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.server.URL, "jwks_uri": p.keysAt,
			"id_token_signing_alg_values_supported": []string{"RS256", "RS384", "HS256", "none"},
		})
	case "/keys":
		set := []map[string]any{}
		for name, key := range p.keys {
			set = append(set, jwk(name, key.Public()))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	case "/moved":
		http.Redirect(w, r, "http://192.0.2.1/keys", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

// change changes the provider while it answers.
func (p *provider) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
}

// questions is how often a path was asked for.
func (p *provider) questions(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func jwk(name string, public crypto.PublicKey) map[string]any {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": name, "use": "sig", "n": b64(k.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point, _ := k.Bytes() // 4, x, y
		return map[string]any{"kty": "EC", "kid": name, "use": "sig", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "kid": name, "use": "sig", "crv": "Ed25519", "x": b64(k)}
	}
	panic("no such key")
}

// idToken is what becomes an ID token.
type idToken struct {
	header, claims map[string]any
	key            any
}

// good is a token that proves somebody, signed by the key of a name.
func (p *provider) good(algorithm, key string) *idToken {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	return &idToken{
		header: map[string]any{"alg": algorithm, "kid": key, "typ": "JWT"},
		claims: map[string]any{"iss": p.server.URL, "sub": aSubject, "aud": aClient, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()},
		key:    p.keys[key],
	}
}

// with is the same with another claim; nil: without it.
func (i *idToken) with(claim string, value any) *idToken {
	if i.claims[claim] = value; value == nil {
		delete(i.claims, claim)
	}
	return i
}

// sign makes the token, by the algorithm that its header names.
func (i *idToken) sign(t *testing.T) string {
	t.Helper()
	header, err := json.Marshal(i.header)
	require.NoError(t, err)
	claims, err := json.Marshal(i.claims)
	require.NoError(t, err)
	text := b64(header) + "." + b64(claims)
	short, long := sha256.Sum256([]byte(text)), sha512.Sum384([]byte(text))
	var signature []byte
	switch i.header["alg"] {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(nil, i.key.(*rsa.PrivateKey), crypto.SHA256, short[:])
	case "RS384":
		signature, err = rsa.SignPKCS1v15(nil, i.key.(*rsa.PrivateKey), crypto.SHA384, long[:])
	case "ES256":
		r, s, signErr := ecdsa.Sign(rand.Reader, i.key.(*ecdsa.PrivateKey), short[:])
		require.NoError(t, signErr)
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "EdDSA":
		signature = ed25519.Sign(i.key.(ed25519.PrivateKey), []byte(text))
	case "HS256":
		mac := hmac.New(sha256.New, i.key.([]byte))
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	require.NoError(t, err)
	return text + "." + b64(signature)
}

// startWithProvider is the product with a provider, with whom the regulator of Xinjiang logs
// in.
func startWithProvider(t *testing.T, p *provider, log *zap.Logger) *guarded {
	t.Helper()
	g := startGuarded(t, func(cfg *app.Config) {
		cfg.OIDC, cfg.Log = &app.OIDC{Issuer: p.server.URL, ClientID: aClient}, log
	})
	g.person(identity.Regulator, "xinjiang", credential.Login{Issuer: p.server.URL, Subject: aSubject})
	return g
}

func (g *guarded) person(role identity.Role, id string, l credential.Login) {
	g.t.Helper()
	require.NoError(g.t, g.folder.Change(role, id, func(h *credential.Holder) error {
		h.People = append(h.People, l)
		return nil
	}))
	// The server has read it when it knows a token that came later.
	g.newToken(role, id)
}

// logsIn asks with a token for something that every identity may see.
func (g *guarded) logsIn(token string) bool {
	g.t.Helper()
	status, body := g.http(http.DefaultClient, token, "GET", "/v1/log", "")
	if status != http.StatusOK {
		require.Contains(g.t, []int{http.StatusUnauthorized, http.StatusTooManyRequests}, status, body)
		if status == http.StatusUnauthorized {
			require.Contains(g.t, body, `"the token is unknown or was revoked"`)
		}
	}
	return status == http.StatusOK
}

// Who logs in sees what the identity may, and nothing else.
func TestLogin_GivesThePermissionsOfTheIdentity(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	g := startWithProvider(t, p, zap.NewNop())
	require.Zero(t, p.questions("/.well-known/openid-configuration"), "nobody has logged in")
	r, err := g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", threat("i1"))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	r, err = g.as(identity.Operator, "xj-hydro").Report(t.Context(), "xj-hydro", cloudEvent("initial", "xj-hydro", "w1", "r1", `"facilities":["station-3"],"discoveredAt":"`+time.Now().Add(-time.Minute).Format(time.RFC3339)+`","facts":{"outage":[{"facility":"station-3","scope":"overall","duration":"PT7H"}]}`))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status, "%+v", r.Errors)

	for algorithm, key := range map[string]string{"RS256": "rsa", "ES256": "ec", "EdDSA": "ed"} {
		token := p.good(algorithm, key).sign(t)
		require.Eventually(t, func() bool {
			status, body := g.http(http.DefaultClient, token, "GET", "/v1/incidents", "")
			require.Equal(t, http.StatusOK, status, "%s: %s", algorithm, body)
			require.NotContains(t, body, "grid-east")
			return strings.Contains(body, `"w1"`)
		}, 30*time.Second, 20*time.Millisecond)
		status, _ := g.http(http.DefaultClient, token, "POST", "/v1/reports", string(threat("i2")))
		require.Equal(t, http.StatusForbidden, status, "a regulator reports nothing")
		status, _ = g.http(http.DefaultClient, token, "GET", "/metrics", "")
		require.Equal(t, http.StatusForbidden, status)
	}
	require.True(t, g.logsIn(p.good("RS256", "rsa").with("aud", []string{"another", aClient}).with("azp", aClient).sign(t)))
	require.True(t, g.logsIn(p.good("RS256", "rsa").with("azp", aClient).with("typ", "ID").with("token_use", "id").sign(t)))
	require.True(t, g.logsIn(p.good("RS256", "rsa").with("nbf", time.Now().Add(-time.Minute).Unix()).sign(t)))
	require.True(t, g.logsIn(g.token(identity.Admin, "admin")), "a token of ours is as good as before")
	require.Equal(t, 1, p.questions("/.well-known/openid-configuration"))
	require.Equal(t, 1, p.questions("/keys"))

	// Another who logs in, and one whom nobody knows any more.
	g.person(identity.Regulator, "nation", credential.Login{Issuer: p.server.URL, Subject: "another"})
	_, body := g.http(http.DefaultClient, p.good("ES256", "ec").with("sub", "another").sign(t), "GET", "/v1/incidents", "")
	require.Contains(t, body, "grid-east")
	require.NoError(t, g.folder.Revoke(identity.Regulator, "xinjiang", time.Now()))
	require.Eventually(t, func() bool { return !g.logsIn(p.good("ES256", "ec").sign(t)) }, waitLimit, 20*time.Millisecond)
	holder, err := g.folder.Holder(identity.Regulator, "xinjiang")
	require.NoError(t, err)
	require.Empty(t, holder.People)
	_, err = g.folder.Rotate(identity.Regulator, "xinjiang", nil, time.Now(), 0)
	require.NoError(t, err)
	g.newToken(identity.Regulator, "xinjiang")
	require.False(t, g.logsIn(p.good("ES256", "ec").sign(t)), "revoking took the login too")
	_, err = g.folder.Rotate(identity.Regulator, "nation", nil, time.Now(), 0)
	require.NoError(t, err)
	g.newToken(identity.Regulator, "nation")
	require.False(t, g.logsIn(p.good("ES256", "ec").with("sub", "another").sign(t)), "a new credential has none of the old logins")
}

// A token that does not hold is refused without a word about why; the log has the
// reason, and never the token.
func TestLogin_RefusesInvalidTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	var log bytes.Buffer
	g := startWithProvider(t, p, logTo(&log))
	other := newProvider(t)
	other.keys["rsa"] = newRSA(t)
	otherKey := newRSA(t)
	public, err := x509.MarshalPKIXPublicKey(p.keys["rsa"].Public())
	require.NoError(t, err)
	now := time.Now()
	made := func(algorithm, key string, change func(*idToken)) *idToken {
		i := p.good(algorithm, key)
		change(i)
		return i
	}
	tokens, reasons := []string{}, map[string]string{}
	for name, c := range map[string]struct {
		token *idToken
		why   string
	}{
		"another audience": {p.good("RS256", "rsa").with("aud", "another"), "expected audience"},
		"no audience":      {p.good("RS256", "rsa").with("aud", nil), "expected audience"},
		"expired":          {p.good("RS256", "rsa").with("exp", now.Add(-time.Second).Unix()), "token is expired"},
		"no expiry":        {p.good("RS256", "rsa").with("exp", nil), "token is expired"},
		"not yet valid":    {p.good("RS256", "rsa").with("nbf", now.Add(10*time.Minute).Unix()), "before the nbf"},
		"another issuer":   {p.good("RS256", "rsa").with("iss", other.server.URL), "issued by a different provider"},
		"of another issuer": {made("RS256", "rsa", func(i *idToken) {
			i.claims["iss"], i.key = other.server.URL, other.keys["rsa"]
		}), "failed to verify"},
		"several audiences and no party": {p.good("RS256", "rsa").with("aud", []string{"another", aClient}), "authorized party"},
		"another party":                  {p.good("RS256", "rsa").with("azp", "another"), "authorized party"},
		"a party of no text":             {p.good("RS256", "rsa").with("azp", ""), "authorized party"},
		"issued in the future":           {p.good("RS256", "rsa").with("iat", now.Add(10*time.Minute).Unix()), "issued in the future"},
		"issued two days ago":            {p.good("RS256", "rsa").with("iat", now.Add(-48*time.Hour).Unix()), "issued more than a day ago"},
		"no time of issue":               {p.good("RS256", "rsa").with("iat", nil), "not an ID token"},
		"an access token":                {made("RS256", "rsa", func(i *idToken) { i.header["typ"] = "at+jwt" }), "not an ID token"},
		"an access token by its scope":   {p.good("RS256", "rsa").with("scope", "openid"), "not an ID token"},
		"an access token by its claims":  {p.good("RS256", "rsa").with("typ", "Bearer"), "not an ID token"},
		"a logout token":                 {p.good("RS256", "rsa").with("events", map[string]any{}), "not an ID token"},
		"a slash more":                   {p.good("RS256", "rsa").with("iss", p.server.URL+"/"), "issued by a different provider"},
		"an unknown person":              {p.good("ES256", "ec").with("sub", "unknown"), `no identity has the login of the subject \"unknown\"`},
		"nobody":                         {p.good("ES256", "ec").with("sub", nil), "no identity has the login"},
		"no signature":                   {made("none", "rsa", func(*idToken) {}), "unexpected signature algorithm"},
		"no signature either":            {made("nOnE", "rsa", func(i *idToken) { delete(i.header, "kid") }), "unexpected signature algorithm"},
		"the public key as a secret": {made("HS256", "rsa", func(i *idToken) {
			i.key = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		}), "unexpected signature algorithm"},
		"an algorithm that only the provider accepts": {p.good("RS384", "rsa"), "unexpected signature algorithm"},
		"the key of another":                          {made("RS256", "rsa", func(i *idToken) { i.key = otherKey }), "failed to verify"},
		"a key that it brings itself": {made("RS256", "rsa", func(i *idToken) {
			i.key, i.header["jwk"] = otherKey, jwk("rsa", otherKey.Public())
		}), "failed to verify"},
		"a key of another kind": {made("ES256", "ec", func(i *idToken) { i.header["kid"] = "rsa" }), "failed to verify"},
	} {
		token := c.token.sign(t)
		require.False(t, g.logsIn(token), name)
		require.True(t, g.logsIn(p.good("RS256", "rsa").sign(t)), "after %s", name)
		tokens, reasons[name] = append(tokens, token), c.why
	}
	whole := p.good("RS256", "rsa").sign(t)
	parts := strings.Split(whole, ".")
	forged := b64([]byte(`{"iss":"` + p.server.URL + `","sub":"` + aSubject + `","aud":"` + aClient + `","exp":9999999999}`))
	for _, token := range []string{
		"..", "a.b.c", parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".", parts[0] + "." + forged + "." + parts[2],
		parts[0] + "." + parts[1], whole + ".", whole + "." + parts[2],
	} {
		require.False(t, g.logsIn(token), token)
	}
	g.app.Stop()
	for name, why := range reasons {
		require.Contains(t, log.String(), why, name)
	}
	require.NotContains(t, log.String(), parts[1])
	require.NotContains(t, log.String(), parts[2])
	for _, token := range tokens {
		for _, part := range strings.SplitN(token, ".", 3)[1:] {
			require.False(t, part != "" && strings.Contains(log.String(), part))
		}
	}
}

// A key that the provider begins to sign with is good at once, and the one before not
// any more; who sends tokens of keys that nobody knows does not make us flood the
// provider.
func TestLogin_ProviderRotatesItsKeys(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	g := startWithProvider(t, p, zap.NewNop())
	before := p.good("RS256", "rsa")
	require.True(t, g.logsIn(before.sign(t)))
	next := newRSA(t)
	p.change(func() {
		delete(p.keys, "rsa")
		p.keys["next"] = next
	})
	require.True(t, g.logsIn(p.good("RS256", "next").sign(t)))
	require.False(t, g.logsIn(before.sign(t)), "the provider has withdrawn it")

	stranger := p.good("RS256", "next")
	stranger.header["kid"], stranger.key = "unknown", newRSA(t)
	token, began, asked := stranger.sign(t), time.Now(), p.questions("/keys")
	for range 100 {
		require.False(t, g.logsIn(token))
	}
	require.LessOrEqual(t, p.questions("/keys")-asked, 5+int(time.Since(began)/time.Second)+1)
	require.True(t, g.logsIn(p.good("RS256", "next").sign(t)))
}

// The server starts and works while the provider is down, asks it now and then only,
// and lets people log in as soon as it has answered.
func TestLogin_ProviderDown(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.change(func() { p.down = true })
	began := time.Now()
	g := startWithProvider(t, p, zap.NewNop())
	token := p.good("RS256", "rsa").sign(t)
	for range 20 {
		require.False(t, g.logsIn(token))
	}
	require.True(t, g.logsIn(g.token(identity.Admin, "admin")))
	nowAndThen := func() {
		t.Helper()
		require.LessOrEqual(t, p.questions("/.well-known/openid-configuration"), 1+int(time.Since(began)/(10*time.Second)), "it is asked every ten seconds at most")
	}
	nowAndThen()
	p.change(func() { p.down = false })
	require.Eventually(t, func() bool { return g.logsIn(token) }, waitLimit, 100*time.Millisecond)
	nowAndThen()
	p.change(func() { p.down = true })
	require.True(t, g.logsIn(token), "its keys are known")
}

// Keys that somebody on the way could change are none, wherever the provider sends us.
func TestOIDC_KeysComeOverHTTPSOnly(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for _, at := range []string{"http://192.0.2.1/keys", p.server.URL + "/moved", ""} {
		var log bytes.Buffer
		p.change(func() { p.keysAt = at })
		g := startWithProvider(t, p, logTo(&log))
		require.False(t, g.logsIn(p.good("RS256", "rsa").sign(t)))
		g.app.Stop()
		require.Contains(t, log.String(), "is not https", "not that nobody answered there")
	}
}

// What would let anybody in is refused at the start.
func TestStart_RefusesAnInvalidProvider(t *testing.T) {
	t.Parallel()
	start := func(dir string, o app.OIDC) error {
		a, err := app.Start(t.Context(), configIn(t, dir, func(cfg *app.Config) { cfg.OIDC = &o }))
		if err == nil {
			a.Stop()
		}
		return err
	}
	dir := t.TempDir()
	require.ErrorContains(t, start(dir, app.OIDC{Issuer: "https://login.example.org", ClientID: aClient}), "tocsin init")
	require.NoError(t, credential.Init(credential.In(dir), time.Now()))
	for issuer, why := range map[string]string{
		"": "no issuer", "login.example.org": "no issuer", "https://": "no issuer", "https://a:b@login.example.org": "no issuer", "https://login.example.org?a=b": "no issuer",
		"http://login.example.org": "not https", "ftp://127.0.0.1": "not https", "http://127.0.0.1.example.org": "not https",
	} {
		require.ErrorContains(t, start(dir, app.OIDC{Issuer: issuer, ClientID: aClient}), why, issuer)
	}
	require.ErrorContains(t, start(dir, app.OIDC{Issuer: "https://login.example.org"}), "client id")
	for _, issuer := range []string{"https://login.example.org/realms/tocsin", "http://[::1]:8081", "http://localhost:8081/"} {
		require.NoError(t, app.CheckIssuer(issuer))
	}
}
