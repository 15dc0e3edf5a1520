// Package credential creates and stores credentials in the form of NATS: an
// operator key signs a signing key, which signs accounts, and an account's key signs the
// .creds file of its user (nkeys and JWTs). The operator key itself is needed only to
// replace the signing key, and can be kept offline.
//
// Every identity has an account of its own that contains only imports of the endpoints that
// the table of package identity gives it. An import maps what a client sends to an endpoint to
// a request under a subject that names the caller, so that no service has to trust a
// caller's own claim; and two identities share no subject, inbox or reply. The services
// and the streams are in an account of which only the services have a credential.
//
// The folder is the only state: a server reads it again when it has changed, so a
// credential revoked there is cut off at once.
package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/private"
)

// The folder:
//
//	operator.nk        the seed of the root key, which signs signing keys: keep it offline
//	signing.json       the signing key, which signs accounts on behalf of the root key
//	operator.jwt       what servers trust: the root key, and its signing key
//	accounts/NAME.jwt  one account each, signed by the operator: all that a server reads
//	keys/NAME.nk       the seed that signs its credentials
//	creds/NAME.creds   the file to hand to its owner, and to nobody else
const (
	operatorSeed = "operator.nk"
	signingFile  = "signing.json"
	operatorJWT  = "operator.jwt"
	accounts     = "accounts"
	keys         = "keys"
	creds        = "creds"
)

// Names of the accounts without an identity.
const (
	services = "services" // where the services and the streams are
	system   = "system"   // the NATS server's own
)

// Bounds of what one identity may have open; the server refuses more.
const (
	maxConnections   = 64
	maxSubscriptions = 256
	maxPayload       = 1 << 20 // a report has 256 KiB at most, besides its headers
)

// ErrNoIdentities means that a folder has no identities: tocsin init creates them.
var ErrNoIdentities = errors.New("there are no identities")

// ErrUnknown means that there is no such credential.
var ErrUnknown = errors.New("there is no such credential")

// Folder is a folder of credentials.
type Folder string

// In returns the credentials folder of a data folder.
func In(data string) Folder { return Folder(filepath.Join(data, "identity")) }

// Exists reports whether identities were created. A folder that cannot be read or is
// incomplete is an error, not an absence.
func (f Folder) Exists() (bool, error) {
	if _, err := os.Stat(string(f)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	_, err := f.operatorClaims()
	return err == nil, err
}

func (f Folder) path(parts ...string) string {
	return filepath.Join(append([]string{string(f)}, parts...)...)
}

// Init creates the keys of a new folder: the operator, the services and the system
// account. It refuses a folder that has them: new ones would lock everybody out.
func Init(f Folder, now time.Time) error {
	if _, err := os.Stat(f.path(operatorJWT)); err == nil {
		return fmt.Errorf("%s has identities already: to replace them, remove the folder, which invalidates every credential", f)
	}
	for _, sub := range []string{accounts, keys, creds} {
		if err := private.MakeFolder(f.path(sub)); err != nil {
			return fmt.Errorf("credential: %w", err)
		}
	}
	if err := private.Check(string(f)); err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	if err := f.mustBeEmpty(); err != nil {
		return err
	}
	if err := f.checkOwner(); err != nil {
		return err
	}
	operator, err := f.newKey(operatorSeed, nkeys.CreateOperator)
	if err != nil {
		return err
	}
	signing, err := newSigner(operator)
	if err != nil {
		return err
	}
	if err := f.putSigner(signing); err != nil {
		return err
	}
	for _, name := range []string{services, system} {
		account, err := f.newKey(filepath.Join(keys, name+".nk"), nkeys.CreateAccount)
		if err != nil {
			return err
		}
		_, file, err := newUser(name, account, now, 0, jwt.Permissions{})
		if err != nil {
			return err
		}
		if err := private.Write(f.path(creds, name+".creds"), file); err != nil {
			return err
		}
		if err := f.signAccount(name, publicOf(account), func(*jwt.AccountClaims) {}); err != nil {
			return err
		}
	}
	claims := jwt.NewOperatorClaims(publicOf(operator))
	claims.Name = "tocsin"
	account, err := f.key(system)
	if err != nil {
		return err
	}
	claims.SystemAccount = publicOf(account)
	claims.SigningKeys.Add(signing.Public)
	return f.putOperator(claims, operator) // last: it completes the folder
}

// mustBeEmpty refuses a folder with keys in it. Without operator.jwt they may be the
// remains of identities, and new keys would overwrite them.
func (f Folder) mustBeEmpty() error {
	for _, folder := range []string{"", keys, accounts, creds} {
		files, err := os.ReadDir(f.path(folder))
		if err != nil {
			return fmt.Errorf("credential: %w", err)
		}
		for _, file := range files {
			switch filepath.Ext(file.Name()) {
			case ".nk", ".json", ".jwt", ".creds":
				return fmt.Errorf("%s exists but %s is missing: restore operator.jwt from a copy or, if these keys were never used (an interrupted tocsin init), move %s away", f.path(folder, file.Name()), operatorJWT, f)
			}
		}
	}
	return nil
}

// checkOwner refuses a folder whose parts belong to different users.
func (f Folder) checkOwner() error {
	if err := private.SameOwner(filepath.Dir(string(f)), string(f), f.path(accounts), f.path(keys), f.path(creds)); err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	return nil
}

func (f Folder) newKey(name string, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, error) {
	pair, err := create()
	if err != nil {
		return nil, fmt.Errorf("credential: key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("credential: key: %w", err)
	}
	return pair, private.Write(f.path(name), seed)
}

func (f Folder) readKey(name string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: run tocsin init", ErrNoIdentities, f)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("credential: %s: %w", name, err)
	}
	return pair, nil
}

func (f Folder) key(name string) (nkeys.KeyPair, error) {
	return f.readKey(filepath.Join(keys, name+".nk"))
}

func publicOf(pair nkeys.KeyPair) string {
	public, err := pair.PublicKey()
	if err != nil {
		panic(err) // a created or read key always has one
	}
	return public
}

// locked runs do with the folder locked: of two concurrent changes to one account the
// second would undo the first.
func (f Folder) locked(do func() error) error {
	lock, err := private.Lock(f.path(".lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s: run tocsin init", ErrNoIdentities, f)
	}
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	defer lock.Close() // releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("credential: lock %s: %w", f, err)
	}
	if err := f.checkOwner(); err != nil {
		return err
	}
	return do()
}
