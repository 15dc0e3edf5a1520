package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// OIDC is an OpenID Connect provider, with which people log in.
type OIDC struct {
	Issuer   string // its URL, as in its tokens
	ClientID string // the audience of its tokens
}

// Check returns what is wrong with the configuration.
func (o OIDC) Check() error {
	if o.ClientID == "" {
		return errors.New("without a client id a token for anybody would do")
	}
	return CheckIssuer(o.Issuer)
}

// CheckIssuer returns what is wrong with the URL of an issuer.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(issuer, "?#") {
		return fmt.Errorf("%q is no issuer: want a URL such as https://login.example.org", issuer)
	}
	return requireHTTPS(u)
}

// requireHTTPS refuses a URL whose answer can be changed in transit: an attacker who can
// give us keys can impersonate anybody.
func requireHTTPS(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s is not https, which it must be beyond loopback", u.Redacted())
}

func (a *App) checkOIDC() error {
	switch {
	case a.cfg.OIDC == nil:
		return nil
	case a.identities == nil:
		return errors.New("OpenID Connect proves who of the identities asks, and there are none: tocsin init makes them")
	}
	if err := a.cfg.OIDC.Check(); err != nil {
		return fmt.Errorf("OpenID Connect: %w", err)
	}
	return nil
}

// Bounds of requests to the provider. Anybody who reaches the HTTP port can send tokens
// that name unknown keys, and each would cause a request.
const (
	providerTimeout   = 5 * time.Second  // for an answer
	discoveryInterval = 10 * time.Second // between two attempts to discover it
	providerInterval  = time.Second      // between two requests, …
	providerBurst     = 5                // … after these
	maxProviderAnswer = 1 << 20          // bytes of an answer
	maxKeySetAge      = time.Hour        // for how long a withdrawn key is still accepted
	maxLoggedError    = 300              // characters of an error, which may contain a whole answer
)

// algorithms are the accepted signature algorithms of a token, whatever the provider
// offers.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.EdDSA}

// logins is the directory, extended by logins with a provider.
type logins struct {
	*credential.Directory
	oidc OIDC
	log  *zap.Logger
	ctx  context.Context // of requests to the provider, which outlast a single request to us

	mu       sync.Mutex            // held while the provider is discovered
	verifier *oidc.IDTokenVerifier // nil: not discovered yet
	attempts *rate.Limiter
}

// newLogins does not contact the provider: it may be down.
func newLogins(ctx context.Context, o OIDC, who *credential.Directory, log *zap.Logger) *logins {
	client := &http.Client{Timeout: providerTimeout, Transport: &providerTransport{rate.NewLimiter(rate.Every(providerInterval), providerBurst)}}
	return &logins{
		Directory: who, oidc: o, log: log.Named("oidc"), ctx: oidc.ClientContext(ctx, client),
		attempts: rate.NewLimiter(rate.Every(discoveryInterval), 1),
	}
}

// Bearer returns the identity of a token. A token of three parts is a JWT; our own never
// have three.
func (l *logins) Bearer(ctx context.Context, token string) (identity.Identity, error) {
	if strings.Count(token, ".") != 2 {
		return l.Directory.Bearer(ctx, token)
	}
	who, err := l.verifyIDToken(ctx, token)
	if err != nil {
		l.log.Debug("token rejected", zap.String("why", printable.Truncate(err.Error(), maxLoggedError)))
		return who, reasonOf(err)
	}
	return who, nil
}

// reasonOf returns why a token was refused, as one of a few fixed reasons: the library's
// errors contain times and parts of the token, so no two are alike.
func reasonOf(err error) error {
	if expired := (*oidc.TokenExpiredError)(nil); errors.As(err, &expired) {
		return errors.New("the ID token has expired")
	}
	for _, reason := range []struct{ says, why string }{
		{"expected audience", "the ID token is for another audience"}, {"different provider", "the ID token is of another provider"},
		{"nbf", "the ID token does not hold yet"}, {"no identity has the login", "no identity has the login of the ID token"},
		{"not an ID token", "the token is no ID token"}, {"authorized party", "the ID token was issued to another party"},
		{"issued in the future", "the ID token is issued in the future"}, {"issued more than", "the ID token was issued more than a day ago"},
		{"did not answer", "the provider of OpenID Connect does not answer"},
	} {
		if strings.Contains(err.Error(), reason.says) {
			return errors.New(reason.why)
		}
	}
	return errors.New("the ID token does not hold")
}

// verifyIDToken returns the identity that an ID token proves.
func (l *logins) verifyIDToken(ctx context.Context, token string) (identity.Identity, error) {
	verifier, err := l.tokenVerifier()
	if err != nil {
		return identity.Identity{}, err
	}
	idToken, err := verifier.Verify(ctx, token)
	if err != nil {
		return identity.Identity{}, err
	}
	if err := l.checkIDToken(token, idToken); err != nil {
		return identity.Identity{}, err
	}
	who, ok := l.Person(credential.Login{Issuer: l.oidc.Issuer, Subject: idToken.Subject})
	if !ok {
		return identity.Identity{}, fmt.Errorf("no identity has the login of the subject %q", idToken.Subject)
	}
	return who, nil
}

// tokenVerifier returns the verifier of the provider's tokens, once the provider has said
// where its keys are.
func (l *logins) tokenVerifier() (*oidc.IDTokenVerifier, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verifier != nil {
		return l.verifier, nil
	}
	if !l.attempts.Allow() {
		return nil, errors.New("the provider did not answer a moment ago")
	}
	keys, err := l.discover()
	if err != nil {
		l.log.Warn("cannot discover the OpenID Connect provider; logins fail", zap.String("issuer", l.oidc.Issuer), zap.String("why", printable.Truncate(err.Error(), maxLoggedError)))
		return nil, err
	}
	l.verifier = oidc.NewVerifier(l.oidc.Issuer, keys, &oidc.Config{
		ClientID: l.oidc.ClientID, SupportedSigningAlgs: algorithms, Now: clock.System{}.Now,
	})
	return l.verifier, nil
}

func (l *logins) discover() (*keys, error) {
	ctx, cancel := context.WithTimeout(l.ctx, providerTimeout)
	defer cancel()
	p, err := oidc.NewProvider(ctx, l.oidc.Issuer)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&metadata); err != nil {
		return nil, err
	}
	u, err := url.Parse(metadata.Keys)
	if err == nil {
		err = requireHTTPS(u)
	}
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	return &keys{ctx: l.ctx, url: metadata.Keys, renew: rate.Sometimes{Interval: maxKeySetAge}}, nil
}

// keys are the provider's keys. The set asks for a key that it does not know, but never
// checks whether a known one is still valid; so it is replaced from time to time.
type keys struct {
	ctx context.Context
	url string

	mu    sync.Mutex
	set   *oidc.RemoteKeySet
	renew rate.Sometimes
}

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	k.mu.Lock()
	k.renew.Do(func() { k.set = oidc.NewRemoteKeySet(k.ctx, k.url) })
	set := k.set
	k.mu.Unlock()
	return set.VerifySignature(ctx, token)
}

// providerTransport is the transport to it: private, also when redirected, and
// rate-limited.
type providerTransport struct{ limiter *rate.Limiter }

// RoundTrip implements http.RoundTripper.
func (p *providerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := requireHTTPS(r.URL); err != nil {
		return nil, err
	}
	if !p.limiter.Allow() {
		return nil, errors.New("too many requests to the provider")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxProviderAnswer)
	}
	return resp, err
}
