package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
	"github.com/tocsin-project/tocsin/internal/private"
)

// signer signs accounts and certifies the keys of identities.
type signer struct {
	Seed       string `json:"seed"`       // nkey
	Public     string `json:"public"`     // nkey
	Delegation []byte `json:"delegation"` // by the operator's key: this key may issue credentials
	pair       nkeys.KeyPair
}

// newSigner creates a signing key, to which the operator's key delegates.
func newSigner(operator nkeys.KeyPair) (*signer, error) {
	pair, err := nkeys.CreateOperator()
	if err != nil {
		return nil, fmt.Errorf("credential: signing key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("credential: signing key: %w", err)
	}
	s := &signer{Seed: string(seed), Public: publicOf(pair), pair: pair}
	if s.Delegation, err = operator.Sign(evidence.SignerText(s.Public)); err != nil {
		return nil, fmt.Errorf("credential: signing key: %w", err)
	}
	return s, nil
}

func (f Folder) putSigner(s *signer) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("credential: signing key: %w", err)
	}
	return private.Write(f.path(signingFile), append(raw, '\n'))
}

// signer returns the signing key, or the operator's own if the folder has none yet.
func (f Folder) signer() (*signer, error) {
	raw, err := os.ReadFile(f.path(signingFile))
	if errors.Is(err, fs.ErrNotExist) {
		pair, err := f.readKey(operatorSeed)
		if errors.Is(err, ErrNoIdentities) {
			if _, there := f.operatorClaims(); there == nil {
				return nil, fmt.Errorf("%s has neither a signing key nor operator.nk: tocsin credential signing-key --operator-key FILE creates one", f)
			}
		}
		return &signer{pair: pair}, err
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	s := new(signer)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("credential: %s cannot be decoded", signingFile) // the error may quote the seed
	}
	if s.pair, err = nkeys.FromSeed([]byte(s.Seed)); err != nil || publicOf(s.pair) != s.Public {
		return nil, fmt.Errorf("credential: %s holds no signing key", signingFile)
	}
	return s, nil
}

func (s *signer) certify(key *Key, owner identity.Identity) (err error) {
	if key.Certificate, err = s.pair.Sign(evidence.KeyText(owner.String(), key.Public)); err != nil {
		return fmt.Errorf("credential: certify a key: %w", err)
	}
	key.Signer, key.Delegation = s.Public, s.Delegation
	return nil
}

// putOperator writes operator.jwt, which servers trust.
func (f Folder) putOperator(claims *jwt.OperatorClaims, operator nkeys.KeyPair) error {
	token, err := claims.Encode(operator)
	if err != nil {
		return fmt.Errorf("credential: operator: %w", err)
	}
	return private.Write(f.path(operatorJWT), []byte(token))
}

// ReplaceSigningKey creates a new signing key, re-signs everything in the folder with it,
// and withdraws the previous keys. It is the one command that needs the operator's seed,
// from a file; "" means the folder's own. It may be repeated after a crash at any point:
// until the end servers trust both keys.
func (f Folder) ReplaceSigningKey(seedFile string) (public string, err error) {
	err = f.locked(func() error {
		operator, err := f.operatorKey(seedFile)
		if err != nil {
			return err
		}
		trusted, err := f.operatorClaims()
		if err != nil {
			return err
		}
		next, err := newSigner(operator)
		if err != nil {
			return err
		}
		public = next.Public
		trusted.SigningKeys.Add(public)
		if err := f.putOperator(trusted, operator); err != nil {
			return err
		}
		if err := f.putSigner(next); err != nil {
			return err
		}
		var failed []error
		err = f.forEachAccount(trusted, func(a storedAccount) { failed = append(failed, f.resign(a, next)) })
		if err := errors.Join(append(failed, err)...); err != nil {
			return fmt.Errorf("the signing key before is still trusted, for not every account has the new one's signature: %w", err)
		}
		trusted.SigningKeys = jwt.StringList{public}
		return f.putOperator(trusted, operator)
	})
	return public, err
}

// operatorKey reads the operator's seed, and refuses another operator's.
func (f Folder) operatorKey(seedFile string) (nkeys.KeyPair, error) {
	if seedFile == "" {
		seedFile = f.path(operatorSeed)
	}
	seed, err := os.ReadFile(seedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the operator's key is not at %s: name its file with --operator-key", seedFile)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: operator's key: %w", err)
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("credential: %s holds no nkey", seedFile)
	}
	want, err := f.Key()
	if err != nil {
		return nil, err
	}
	if publicOf(pair) != want {
		return nil, fmt.Errorf("%s holds the key of another operator, not of %s", seedFile, f)
	}
	return pair, nil
}

// resign signs an account, and the keys in use of its identity, with another key.
func (f Folder) resign(a storedAccount, by *signer) error {
	if h := a.holder; h != nil {
		for i := range h.Keys {
			if h.Keys[i].Until != nil {
				continue
			}
			if err := by.certify(&h.Keys[i], h.Identity); err != nil {
				return err
			}
		}
		doc, err := json.Marshal(h)
		if err != nil {
			return fmt.Errorf("credential: %w", err)
		}
		a.claims.Description = string(doc)
	}
	return f.putAccount(a.claims, by)
}

// Internal are the credentials that belong to no identity.
var Internal = []string{services, system}

// internalUsers is the description of the services' or the system account: every user
// that ever had a credential of it, the current one last.
type internalUsers struct {
	Users []string `json:"users"` // nkeys
}

// RotateInternal creates a new credential for the services or the system account and
// voids the previous ones. An embedded server uses neither; an outside one disconnects
// clients with the old one, and the services reconnect with the new file. It may be
// repeated after a crash at any point: the account lists every user before the file is
// written.
func (f Folder) RotateInternal(name string, now time.Time) (file string, err error) {
	path := f.path(creds, name+".creds")
	return path, f.locked(func() error {
		claims, err := f.claims(name)
		if err != nil {
			return err
		}
		account, err := f.key(name)
		if err != nil {
			return err
		}
		signer, err := f.signer()
		if err != nil {
			return err
		}
		var known internalUsers
		if claims.Description != "" {
			if err := json.Unmarshal([]byte(claims.Description), &known); err != nil {
				return fmt.Errorf("credential: account %s: %w", name, err)
			}
		}
		if before := userOf(path); before != "" && !slices.Contains(known.Users, before) {
			known.Users = append(known.Users, before) // from an earlier version
		}
		user, file, err := newUser(name, account, now, 0, jwt.Permissions{})
		if err != nil {
			return err
		}
		old := known.Users
		known.Users = append(slices.Clone(old), user)
		doc, err := json.Marshal(known)
		if err != nil {
			return fmt.Errorf("credential: account %s: %w", name, err)
		}
		claims.Description = string(doc)
		if err := f.putAccount(claims, signer); err != nil {
			return err
		}
		if err := private.Write(path, file); err != nil {
			return err
		}
		for _, u := range old {
			claims.RevokeAt(u, now.Add(time.Minute)) // even if its clock was ahead
		}
		return f.putAccount(claims, signer)
	})
}

// userOf returns the public key in a .creds file, or "" if it cannot be read.
func userOf(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	token, err := jwt.ParseDecoratedJWT(raw)
	if err != nil {
		return ""
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return ""
	}
	return user.Subject
}

// OperatorKey returns the path of the operator's seed that Init creates.
func (f Folder) OperatorKey() string { return f.path(operatorSeed) }
