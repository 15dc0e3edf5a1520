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
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// Holder is an identity with what proves it, as its account has it.
type Holder struct {
	identity.Identity
	Account string     `json:"-"`                 // public key
	Keys    []Key      `json:"keys,omitempty"`    // of its .creds files, the last one in use
	Tokens  []Token    `json:"tokens,omitempty"`  // for HTTP
	Certs   []Cert     `json:"certs,omitempty"`   // for HTTP with mutual TLS
	Revoked *time.Time `json:"revoked,omitempty"` // since then it may nothing
}

// Key is a user's nkey, and for how long it is or was good.
type Key struct {
	Public string     `json:"public"`
	From   time.Time  `json:"from"`
	Until  *time.Time `json:"until,omitempty"`
}

// Token is a bearer token, of which only the SHA-256 is kept.
type Token struct {
	Hash  string     `json:"hash"` // hex
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until,omitempty"`
}

// NewToken makes a token: the first is for the one whom it names, the second is kept.
// valid is how long it is good; 0 for as long as nobody voids it.
func NewToken(now time.Time, valid time.Duration) (string, Token) {
	token := "tocsin_" + rand.Text() // 130 bits: its hash tells nothing
	t := Token{Hash: hashOf(token), From: now.UTC().Truncate(time.Second)}
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
	return Cert{keyHash(cert.RawSubjectPublicKeyInfo)}, nil
}

// keyHash is the hash of a SubjectPublicKeyInfo.
func keyHash(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Cert is a client's certificate, by the SHA-256 of its public key.
type Cert struct {
	SPKI string `json:"spki"` // hex, of the SubjectPublicKeyInfo (RFC 5280)
}

// name is that of an identity's files.
func name(who identity.Identity) string { return string(who.Role) + "-" + who.ID }

// Add makes an account and a credential for an identity, and returns the file to
// hand over. valid is how long it is good; 0 for as long as nobody revokes it.
func (f Folder) Add(who identity.Identity, now time.Time, valid time.Duration) (file string, err error) {
	if who.Role == identity.Desk && len(who.Screens) == 0 {
		who.Screens = []string{identity.DefaultScreen}
	}
	if err := who.Check(); err != nil {
		return "", err
	}
	if !f.Exists() {
		return "", fmt.Errorf("%w in %s: run tocsin init", ErrNone, f)
	}
	switch _, err := f.Holder(who.Role, who.ID); {
	case err == nil:
		return "", fmt.Errorf("%s has a credential: rotate makes a new one, and the old one void", who)
	case !errors.Is(err, ErrUnknown):
		return "", err
	}
	account, err := f.newKey(filepath.Join(keys, name(who)+".nk"), nkeys.CreateAccount)
	if err != nil {
		return "", err
	}
	return f.renew(Holder{Identity: who, Account: publicOf(account)}, nil, now, valid)
}

// Rotate makes a new credential for an identity, also for one that was revoked,
// and voids the one before with everything else that proves it. A desk has the screens that are named from then on, or
// where none are those that it had.
func (f Folder) Rotate(role identity.Role, id string, screens []string, now time.Time, valid time.Duration) (file string, err error) {
	h, err := f.Holder(role, id)
	if err != nil {
		return "", err
	}
	if len(screens) > 0 {
		h.Screens = screens
	}
	if err := h.Check(); err != nil {
		return "", err
	}
	claims, err := f.claims(name(h.Identity))
	if err != nil {
		return "", err
	}
	h.end(now, claims)
	h.Revoked, h.Tokens, h.Certs = nil, nil, nil
	return f.renew(*h, claims.Revocations, now, valid)
}

// end voids the keys that are in use.
func (h *Holder) end(now time.Time, claims *jwt.AccountClaims) {
	until := now.UTC().Truncate(time.Second)
	for i := range h.Keys {
		if h.Keys[i].Until == nil {
			h.Keys[i].Until = &until
			claims.RevokeAt(h.Keys[i].Public, now.Add(time.Second)) // of JWTs the second counts
		}
	}
}

// renew writes a new credential and then the account that has it.
func (f Folder) renew(h Holder, revoked jwt.RevocationList, now time.Time, valid time.Duration) (string, error) {
	account, err := f.key(name(h.Identity))
	if err != nil {
		return "", err
	}
	var public string
	if err := f.writeUser(name(h.Identity), account, now, valid, permissions(h.Identity), &public); err != nil {
		return "", err
	}
	h.Keys = append(h.Keys, Key{Public: public, From: now.UTC().Truncate(time.Second)})
	return f.path(creds, name(h.Identity)+".creds"), f.put(h, revoked)
}

// Revoke takes everything from an identity: servers end its connections as soon as
// they have read it.
func (f Folder) Revoke(role identity.Role, id string, now time.Time) error {
	h, err := f.Holder(role, id)
	if err != nil {
		return err
	}
	claims, err := f.claims(name(h.Identity))
	if err != nil {
		return err
	}
	h.end(now, claims)
	at := now.UTC().Truncate(time.Second)
	h.Revoked, h.Tokens, h.Certs = &at, nil, nil
	return f.put(*h, claims.Revocations)
}

// Change changes what proves an identity over HTTP.
func (f Folder) Change(role identity.Role, id string, change func(*Holder) error) error {
	h, err := f.Holder(role, id)
	if err != nil {
		return err
	}
	if h.Revoked != nil {
		return fmt.Errorf("%s was revoked: rotate gives it a new credential", h)
	}
	claims, err := f.claims(name(h.Identity))
	if err != nil {
		return err
	}
	if err := change(h); err != nil {
		return err
	}
	return f.put(*h, claims.Revocations)
}

// put signs the account of an identity as it now is.
func (f Folder) put(h Holder, revoked jwt.RevocationList) error {
	doc, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	exporter, err := f.key(services)
	if err != nil {
		return err
	}
	return f.sign(name(h.Identity), h.Account, func(c *jwt.AccountClaims) {
		c.Description = string(doc)
		c.Revocations = revoked
		c.Limits.Conn, c.Limits.Subs, c.Limits.Payload, c.Limits.LeafNodeConn = maxConnections, maxSubscriptions, maxPayload, 0
		if h.Revoked == nil {
			c.Imports = imports(h.Identity, publicOf(exporter))
		}
	})
}
