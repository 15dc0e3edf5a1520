package credential

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/private"
)

func (f Folder) signAccount(name, account string, set func(*jwt.AccountClaims)) error {
	claims := jwt.NewAccountClaims(account)
	claims.Name = name
	if name == services {
		claims.Exports = exports()
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
			MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
		}
	}
	set(claims)
	signer, err := f.signer()
	if err != nil {
		return err
	}
	return f.putAccount(claims, signer)
}

func (f Folder) putAccount(claims *jwt.AccountClaims, signer *signer) error {
	var found jwt.ValidationResults
	if claims.Validate(&found); found.IsBlocking(true) {
		return fmt.Errorf("credential: account %s: %w", claims.Name, errors.Join(found.Errors()...))
	}
	token, err := claims.Encode(signer.pair)
	if err != nil {
		return fmt.Errorf("credential: account %s: %w", claims.Name, err)
	}
	return private.Write(f.path(accounts, claims.Name+".jwt"), []byte(token))
}

func newUser(name string, account nkeys.KeyPair, now time.Time, valid time.Duration, allowed jwt.Permissions) (public string, file []byte, err error) {
	if valid < 0 {
		return "", nil, fmt.Errorf("credential: it cannot be valid for %s", valid)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return "", nil, fmt.Errorf("credential: key: %w", err)
	}
	public = publicOf(user)
	claims := jwt.NewUserClaims(public)
	claims.Name, claims.Permissions = name, allowed
	if valid > 0 {
		claims.Expires = now.Add(valid).Unix()
	}
	token, err := claims.Encode(account)
	if err != nil {
		return "", nil, fmt.Errorf("credential: %s: %w", name, err)
	}
	seed, err := user.Seed()
	if err != nil {
		return "", nil, fmt.Errorf("credential: key: %w", err)
	}
	if file, err = jwt.FormatUserConfig(token, seed); err != nil {
		return "", nil, fmt.Errorf("credential: %s: %w", name, err)
	}
	return public, file, nil
}

// permissions returns the limits that the server enforces for a client, besides those of
// its account.
func permissions(owner identity.Identity) (allowed jwt.Permissions) {
	allowed.Sub.Allow.Add("_INBOX.>")
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		for _, p := range identity.Permissions {
			for _, r := range p.Routes(owner, realm) {
				if r.Access == identity.Receive {
					allowed.Sub.Allow.Add(r.Local)
				} else {
					allowed.Pub.Allow.Add(r.Local)
				}
			}
		}
	}
	return allowed
}

func exports() (out jwt.Exports) {
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		for _, p := range identity.Permissions {
			e := &jwt.Export{Name: realm.Wire(p.What), Subject: jwt.Subject(p.Export(realm)), Type: jwt.Stream}
			if p.Access == identity.Request {
				e.Type, e.ResponseType = jwt.Service, jwt.ResponseTypeSingleton
			}
			if p.Subject == api.EndpointNext {
				e.ResponseType = jwt.ResponseTypeStream
			}
			out.Add(e)
		}
	}
	return out
}

// imports returns the imports of an identity's account: its endpoints.
func imports(owner identity.Identity, exporter string) (out jwt.Imports) {
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		for _, p := range identity.Permissions {
			for _, r := range p.Routes(owner, realm) {
				i := &jwt.Import{Name: realm.Wire(p.What), Account: exporter, Subject: jwt.Subject(r.Remote), Type: jwt.Stream}
				if r.Access == identity.Request {
					i.LocalSubject, i.Type = jwt.RenamingSubject(r.Local), jwt.Service
				}
				out.Add(i)
			}
		}
	}
	return out
}
