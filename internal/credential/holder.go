package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/private"
)

// Holder is an identity with its credentials, as stored in its account.
type Holder struct {
	identity.Identity
	Account string     `json:"-"`                 // public key
	Keys    []Key      `json:"keys,omitempty"`    // of its .creds files; the last one is in use
	Tokens  []Token    `json:"tokens,omitempty"`  // for HTTP
	Certs   []Cert     `json:"certs,omitempty"`   // for HTTP with mutual TLS
	People  []Login    `json:"people,omitempty"`  // people who log in with a provider, for HTTP
	Revoked *time.Time `json:"revoked,omitempty"` // when it lost all permissions
}

// active returns the identity, unless it is unknown (nil) or revoked.
func (h *Holder) active() (identity.Identity, bool) {
	if h == nil || h.Revoked != nil {
		return identity.Identity{}, false
	}
	return h.Identity, true
}

// Key is a user's nkey and its period of validity.
type Key struct {
	Public string     `json:"public"`
	From   time.Time  `json:"from"`
	Until  *time.Time `json:"until,omitempty"`
	// Expires is when the file itself expires; nil: never.
	Expires *time.Time `json:"expires,omitempty"`
	// Certificate is the signature, by Signer or, if empty, the operator, that the key
	// belongs to this identity; Delegation is the operator's, that Signer may sign. What
	// is signed with the key carries them (evidence.SignedAct).
	Certificate []byte `json:"certificate,omitempty"`
	Signer      string `json:"signer,omitempty"`
	Delegation  []byte `json:"delegation,omitempty"`
}

// Token is a bearer token, of which only the SHA-256 is stored.
type Token struct {
	Hash  string     `json:"hash"` // hex
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until,omitempty"`
}

// NewToken creates a token: the first result is for its owner, the second is stored.
// valid is how long it is valid; 0 means until it is voided.
func NewToken(now time.Time, valid time.Duration) (string, Token) {
	token := "tocsin_" + rand.Text() // 130 bits: its hash reveals nothing
	t := Token{Hash: hashOf([]byte(token)), From: now.UTC().Truncate(time.Second)}
	if valid > 0 {
		until := t.From.Add(valid)
		t.Until = &until
	}
	return token, t
}

// NewCert reads a certificate in PEM.
func NewCert(raw []byte) (Cert, error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return Cert{}, errors.New("holds no certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Cert{}, err
	}
	return Cert{hashOf(cert.RawSubjectPublicKeyInfo)}, nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Cert is a client's certificate, by the SHA-256 of its public key.
type Cert struct {
	SPKI string `json:"spki"` // hex, of the SubjectPublicKeyInfo (RFC 5280)
}

// Login is a person as an OpenID Connect provider knows them: the pair never identifies
// anybody else.
type Login struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// name returns the name of an identity's files.
func name(owner identity.Identity) string { return string(owner.Role) + "-" + owner.ID }

// Add creates an account and a credential for an identity, and returns the file to hand
// over. valid is how long it is valid; 0 means until it is revoked.
func (f Folder) Add(owner identity.Identity, now time.Time, valid time.Duration) (file string, err error) {
	if err := owner.Check(); err != nil {
		return "", err
	}
	err = f.locked(func() error {
		switch _, err := f.Holder(owner.Role, owner.ID); {
		case err == nil:
			return fmt.Errorf("%s already has a credential: rotate replaces it", owner)
		case !errors.Is(err, ErrUnknown):
			return err
		}
		account, err := f.newKey(filepath.Join(keys, name(owner)+".nk"), nkeys.CreateAccount)
		if err != nil {
			return err
		}
		file, err = f.renew(Holder{Identity: owner, Account: publicOf(account)}, nil, now, valid)
		return err
	})
	return file, err
}

// Rotate creates a new credential for an identity, also for a revoked one, and voids the
// previous one with everything else that proves the identity. screens replaces a desk's
// screens, unless it is empty.
func (f Folder) Rotate(role identity.Role, id string, screens []string, now time.Time, valid time.Duration) (file string, err error) {
	err = f.change(role, id, func(h *Holder, claims *jwt.AccountClaims) error {
		if len(screens) > 0 {
			h.Screens = screens
		}
		if err := h.Check(); err != nil {
			return err
		}
		h.revokeKeys(now, claims)
		h.Revoked, h.Tokens, h.Certs, h.People = nil, nil, nil, nil
		file, err = f.renew(*h, claims.Revocations, now, valid)
		return err
	})
	return file, err
}

// revokeKeys voids the keys in use, also those whose creation was interrupted. It also
// works if the clock was set back, and allows for the one-second resolution of JWT
// times.
func (h *Holder) revokeKeys(now time.Time, claims *jwt.AccountClaims) {
	until, since := now.UTC().Truncate(time.Second), now
	for i, k := range h.Keys {
		if k.From.After(since) {
			since = k.From
		}
		if k.Until == nil {
			h.Keys[i].Until = &until
		}
	}
	for _, k := range h.Keys {
		claims.RevokeAt(k.Public, since.Add(time.Second))
	}
}

// renew writes the account with a new credential, and then the credential: one that no
// account lists could not be voided.
func (f Folder) renew(h Holder, revoked jwt.RevocationList, now time.Time, valid time.Duration) (string, error) {
	account, err := f.key(name(h.Identity))
	if err != nil {
		return "", err
	}
	user, file, err := newUser(name(h.Identity), account, now, valid, permissions(h.Identity))
	if err != nil {
		return "", err
	}
	signer, err := f.signer()
	if err != nil {
		return "", err
	}
	key := Key{Public: user, From: now.UTC().Truncate(time.Second)}
	if err := signer.certify(&key, h.Identity); err != nil {
		return "", err
	}
	if valid > 0 {
		expires := now.UTC().Add(valid).Truncate(time.Second) // as in the file
		key.Expires = &expires
	}
	h.Keys = append(h.Keys, key)
	if err := f.writeAccount(h, revoked); err != nil {
		return "", err
	}
	path := f.path(creds, name(h.Identity)+".creds")
	return path, private.Write(path, file)
}

// Revoke removes all permissions of an identity: servers end its connections once they
// have read the change.
func (f Folder) Revoke(role identity.Role, id string, now time.Time) error {
	return f.change(role, id, func(h *Holder, claims *jwt.AccountClaims) error {
		h.revokeKeys(now, claims)
		at := now.UTC().Truncate(time.Second)
		h.Revoked, h.Tokens, h.Certs, h.People = &at, nil, nil, nil
		return f.writeAccount(*h, claims.Revocations)
	})
}

// Change changes the credentials of an identity for HTTP. A certificate or login can prove only
// one identity.
func (f Folder) Change(role identity.Role, id string, change func(*Holder) error) error {
	return f.change(role, id, func(h *Holder, claims *jwt.AccountClaims) error {
		if h.Revoked != nil {
			return fmt.Errorf("%s was revoked: rotate gives it a new credential", h)
		}
		if err := change(h); err != nil {
			return err
		}
		others, err := f.Holders()
		if err != nil && !onlyAccounts(err) {
			return err // another identity's faulty account does not matter
		}
		for _, o := range others {
			if o.String() == h.String() {
				continue
			}
			for _, c := range h.Certs {
				if slices.Contains(o.Certs, c) {
					return fmt.Errorf("%s has this key already", o)
				}
			}
			for _, l := range h.People {
				if slices.Contains(o.People, l) {
					return fmt.Errorf("%s has this login already", o)
				}
			}
		}
		return f.writeAccount(*h, claims.Revocations)
	})
}

func (f Folder) change(role identity.Role, id string, change func(*Holder, *jwt.AccountClaims) error) error {
	return f.locked(func() error {
		h, err := f.Holder(role, id)
		if err != nil {
			return err
		}
		claims, err := f.claims(name(h.Identity))
		if err != nil {
			return err
		}
		return change(h, claims)
	})
}

// writeAccount signs the account of an identity in its current state.
func (f Folder) writeAccount(h Holder, revoked jwt.RevocationList) error {
	doc, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	exporter, err := f.key(services)
	if err != nil {
		return err
	}
	return f.signAccount(name(h.Identity), h.Account, func(c *jwt.AccountClaims) {
		c.Description = string(doc)
		c.Revocations = revoked
		c.Limits.Conn, c.Limits.Subs, c.Limits.Payload, c.Limits.LeafNodeConn = maxConnections, maxSubscriptions, maxPayload, 0
		if h.Revoked == nil {
			c.Imports = imports(h.Identity, publicOf(exporter))
		}
	})
}
