package natsd

import (
	"fmt"
	"reflect"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Accounts are the accounts that a server with identities trusts. The caller has verified
// their signatures.
type Accounts struct {
	System   string            // public key of the system account
	Services string            // public key of the services' account
	Signed   map[string]string // signed account JWTs by public key
}

// trust holds keys that exist only in this process. The engine cannot learn of another
// signing key of the operator while it runs, so it trusts one of these, which signs every
// account again. The services connect with a credential signed by another of them, so
// that they stay connected while services.creds is replaced.
type trust struct {
	operator, services nkeys.KeyPair
	account            string // public key of the services' account
}

func newTrust(a *Accounts) (*trust, error) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return nil, fmt.Errorf("nats server: accounts: %w", err)
	}
	services, err := nkeys.CreateAccount()
	if err != nil {
		return nil, fmt.Errorf("nats server: accounts: %w", err)
	}
	return &trust{operator, services, a.Services}, nil
}

// options configures a server to trust these accounts and those admitted later.
func (t *trust) options(opts *server.Options, a *Accounts) error {
	public, err := t.operator.PublicKey()
	if err != nil {
		return fmt.Errorf("nats server: accounts: %w", err)
	}
	accounts := new(server.MemAccResolver)
	for _, signed := range a.Signed {
		claims, token, err := t.resign(signed)
		if err == nil {
			err = accounts.Store(claims.Subject, token)
		}
		if err != nil {
			return fmt.Errorf("nats server: accounts: %w", err)
		}
	}
	operator := jwt.NewOperatorClaims(public)
	operator.SystemAccount = a.System
	if _, err := operator.Encode(t.operator); err != nil { // sets its issuer
		return fmt.Errorf("nats server: accounts: %w", err)
	}
	opts.TrustedOperators, opts.SystemAccount, opts.AccountResolver = []*jwt.OperatorClaims{operator}, a.System, accounts
	return nil
}

// resign signs an account again with the key that the engine trusts.
func (t *trust) resign(signed string) (*jwt.AccountClaims, string, error) {
	claims, err := jwt.DecodeAccountClaims(signed)
	if err != nil {
		return nil, "", err
	}
	if claims.Subject == t.account {
		public, err := t.services.PublicKey()
		if err != nil {
			return nil, "", err
		}
		claims.SigningKeys.Add(public)
	}
	token, err := claims.Encode(t.operator)
	return claims, token, err
}

// credential returns the option with which the services connect.
func (t *trust) credential() (nats.Option, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("nats server: services: %w", err)
	}
	public, err := user.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("nats server: services: %w", err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Name, claims.IssuerAccount = "services", t.account
	token, err := claims.Encode(t.services)
	if err != nil {
		return nil, fmt.Errorf("nats server: services: %w", err)
	}
	return nats.UserJWT(func() (string, error) { return token, nil }, user.Sign), nil
}

// unchanged reports whether an account is unchanged for the engine: updating one loses
// the answers in flight through it.
func unchanged(before string, now *jwt.AccountClaims) bool {
	was, err := jwt.DecodeAccountClaims(before)
	return err == nil && reflect.DeepEqual(effectiveClaims(was), effectiveClaims(now))
}

func effectiveClaims(c *jwt.AccountClaims) jwt.Account {
	out := c.Account
	out.Description = "" // describes the identity to the services only
	return out
}

// UpdateAccount re-signs an account and puts it in force: connected clients lose the
// permissions that it no longer has, and clients whose credential it revokes are
// disconnected.
func (s *Server) UpdateAccount(signed string) error {
	claims, token, err := s.trust.resign(signed)
	if err != nil {
		return fmt.Errorf("nats server: account: %w", err)
	}
	before, err := s.s.AccountResolver().Fetch(claims.Subject)
	known := err == nil && unchanged(before, claims)
	if err := s.s.AccountResolver().Store(claims.Subject, token); err != nil {
		return fmt.Errorf("nats server: account %s: %w", claims.Name, err)
	}
	if known {
		return nil
	}
	account, err := s.s.LookupAccount(claims.Subject)
	if err != nil {
		return fmt.Errorf("nats server: account %s: %w", claims.Name, err)
	}
	s.s.UpdateAccountClaims(account, claims)
	return nil
}

// RemoveAccount disconnects an account's clients and removes all its permissions.
func (s *Server) RemoveAccount(account string) error {
	a, err := s.s.LookupAccount(account)
	if err != nil {
		return fmt.Errorf("nats server: account %s: %w", account, err)
	}
	nothing := jwt.NewAccountClaims(account)
	nothing.Revoke(jwt.All)
	s.s.UpdateAccountClaims(a, nothing)
	return nil
}
