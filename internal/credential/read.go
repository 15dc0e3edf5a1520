package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// claims reads an account and holds it against the operator's signature.
func (f Folder) claims(name string) (*jwt.AccountClaims, error) {
	token, err := os.ReadFile(f.path(accounts, name+".jwt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	trusted, err := f.trusted()
	if err != nil {
		return nil, err
	}
	return decode(name, string(token), trusted.Subject)
}

// trusted reads the operator, by whose key accounts are signed.
func (f Folder) trusted() (*jwt.OperatorClaims, error) {
	token, err := os.ReadFile(f.path(operatorJWT))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: run tocsin init", ErrNone, f)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	claims, err := jwt.DecodeOperatorClaims(string(token)) // which holds it against its signature
	if err != nil {
		return nil, fmt.Errorf("credential: %s: %w", operatorJWT, err)
	}
	return claims, nil
}

func decode(name, token, operator string) (*jwt.AccountClaims, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", name, err)
	}
	if claims.Issuer != operator || claims.Name != name {
		return nil, fmt.Errorf("credential: the account %s is of %s and signed by %s, not by this folder's operator", name, claims.Name, claims.Issuer)
	}
	return claims, nil
}

// holderOf reads the identity that an account is of.
func holderOf(claims *jwt.AccountClaims) (*Holder, error) {
	h := new(Holder)
	if err := json.Unmarshal([]byte(claims.Description), h); err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", claims.Name, err)
	}
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("credential: account %s: %w", claims.Name, err)
	}
	h.Account = claims.Subject
	return h, nil
}

// Holder returns an identity with what proves it, or ErrUnknown.
func (f Folder) Holder(role identity.Role, id string) (*Holder, error) {
	claims, err := f.claims(name(identity.Identity{Role: role, ID: id}))
	if err != nil {
		return nil, err
	}
	return holderOf(claims)
}

// Holders returns every identity, by role and id.
func (f Folder) Holders() (out []Holder, err error) {
	err = f.each(func(claims *jwt.AccountClaims, _ string) error {
		if claims.Name == services || claims.Name == system {
			return nil
		}
		h, err := holderOf(claims)
		if err == nil {
			out = append(out, *h)
		}
		return err
	})
	return out, err
}

// each hands over every account of the folder, by name.
func (f Folder) each(yield func(claims *jwt.AccountClaims, token string) error) error {
	trusted, err := f.trusted()
	if err != nil {
		return err
	}
	files, err := os.ReadDir(f.path(accounts))
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".jwt")
		if !ok {
			continue // one that is being written
		}
		token, err := os.ReadFile(f.path(accounts, file.Name()))
		if err != nil {
			return fmt.Errorf("credential: %w", err)
		}
		claims, err := decode(name, string(token), trusted.Subject)
		if err != nil {
			return err
		}
		if err := yield(claims, string(token)); err != nil {
			return err
		}
	}
	return nil
}
