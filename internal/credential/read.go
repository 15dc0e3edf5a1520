package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// claims reads an account and verifies its signature.
func (f Folder) claims(name string) (*jwt.AccountClaims, error) {
	token, err := os.ReadFile(f.path(accounts, name+".jwt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	trusted, err := f.operatorClaims()
	if err != nil {
		return nil, err
	}
	return decode(name, string(token), trusted)
}

// operatorClaims reads the operator, whose key signs accounts.
func (f Folder) operatorClaims() (*jwt.OperatorClaims, error) {
	token, err := os.ReadFile(f.path(operatorJWT))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: run tocsin init", ErrNoIdentities, f)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	claims, err := jwt.DecodeOperatorClaims(string(token)) // verifies the signature
	if err != nil {
		return nil, fmt.Errorf("credential: %s: %w", operatorJWT, err)
	}
	return claims, nil
}

// Key returns the nkey that every credential of the folder derives from.
func (f Folder) Key() (string, error) {
	trusted, err := f.operatorClaims()
	if err != nil {
		return "", err
	}
	return trusted.Subject, nil
}

func decode(name, token string, trusted *jwt.OperatorClaims) (*jwt.AccountClaims, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", name, err)
	}
	if !trusted.DidSign(claims) || claims.Name != name {
		return nil, fmt.Errorf("credential: the account %s is of %s and signed by %s, not by this folder's operator", name, claims.Name, claims.Issuer)
	}
	return claims, nil
}

// holderOf reads the identity of an account.
func holderOf(claims *jwt.AccountClaims) (*Holder, error) {
	h := new(Holder)
	if err := json.Unmarshal([]byte(claims.Description), h); err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", claims.Name, err)
	}
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", claims.Name, err)
	}
	if name(h.Identity) != claims.Name {
		return nil, fmt.Errorf("credential: the account %s contains the identity %s", claims.Name, h)
	}
	h.Account = claims.Subject
	return h, nil
}

// Holder returns an identity with its credentials, or ErrUnknown.
func (f Folder) Holder(role identity.Role, id string) (*Holder, error) {
	claims, err := f.claims(name(identity.Identity{Role: role, ID: id}))
	if err != nil {
		return nil, err
	}
	return holderOf(claims)
}

// Holders returns every identity whose account can be read, by role and id; the error
// names the unreadable accounts. With ErrNoIdentities the folder has none.
func (f Folder) Holders() (out []Holder, err error) {
	trusted, err := f.operatorClaims()
	if err != nil {
		return nil, err
	}
	err = f.forEachAccount(trusted, func(a storedAccount) {
		if a.holder != nil {
			out = append(out, *a.holder)
		}
	})
	return out, err
}

type storedAccount struct {
	claims *jwt.AccountClaims
	token  string
	holder *Holder // nil: it has no identity
}

// forEachAccount passes every valid account of the folder to yield, by name. The error
// lists the invalid ones.
func (f Folder) forEachAccount(trusted *jwt.OperatorClaims, yield func(storedAccount)) error {
	var bad []error
	files, err := os.ReadDir(f.path(accounts))
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".jwt")
		if !ok {
			continue // a file being written
		}
		a, err := f.account(name, trusted)
		if err != nil {
			bad = append(bad, &AccountError{name, err})
			continue
		}
		yield(a)
	}
	return errors.Join(bad...)
}

func (f Folder) account(name string, trusted *jwt.OperatorClaims) (a storedAccount, err error) {
	token, err := os.ReadFile(f.path(accounts, name+".jwt"))
	if err != nil {
		return a, fmt.Errorf("credential: %w", err)
	}
	a.token = string(token)
	if a.claims, err = decode(name, a.token, trusted); err != nil || name == services || name == system {
		return a, err
	}
	a.holder, err = holderOf(a.claims)
	return a, err
}

// ServicesAccount returns the public key of the services' account.
func (f Folder) ServicesAccount() (string, error) {
	claims, err := f.claims(services)
	if err != nil {
		return "", err
	}
	return claims.Subject, nil
}

// AccountError is the error of an unusable account. Its identity has no permissions;
// other accounts are not affected.
type AccountError struct {
	Name string // of the account: ROLE-ID
	Err  error
}

func (e *AccountError) Error() string { return "account " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *AccountError) Unwrap() error { return e.Err }

// onlyAccounts reports whether only single accounts of identities are faulty.
func onlyAccounts(err error) bool {
	names := faultyOf(err)
	return (err == nil || len(names) > 0) && !slices.Contains(names, services) && !slices.Contains(names, system)
}

// faultyOf returns the names of the accounts in an error of forEachAccount.
func faultyOf(err error) (names []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range joined.Unwrap() {
		if a := (*AccountError)(nil); errors.As(e, &a) {
			names = append(names, a.Name)
		}
	}
	return names
}
