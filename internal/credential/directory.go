package credential

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// pollInterval is how often a folder is checked: a revoked identity has to be cut off
// within a second.
const pollInterval = 200 * time.Millisecond

// Directory holds the credentials that a folder contains now.
type Directory struct {
	folder         Folder
	operator       string // nkey
	log            *zap.Logger
	refusals       *refusals
	rates          *identity.Rates
	internal       int           // number of accounts read that have no identity
	fingerprint    uint64        // the folder's fingerprint when last read; 0: read again
	reloadRequests chan struct{} // requests a read even without a change

	mu      sync.RWMutex
	faulty  []string                     // names of unusable accounts
	all     map[string]*Holder           // by ROLE/ID
	signed  map[string]string            // accounts by public key
	hashes  map[string]*Holder           // by the hash of a token
	ongoing map[*ongoingRequest]struct{} // long-running requests
	certs   map[string]*Holder           // by the hash of a public key
	logins  map[Login]*Holder
}

// Open reads a folder. An unusable account is logged, and its identity has no
// permissions; only without the accounts of the services and the system does Open fail.
func Open(f Folder, log *zap.Logger) (*Directory, error) {
	operator, err := f.operatorClaims()
	if err != nil {
		return nil, err
	}
	d := &Directory{folder: f, operator: operator.Subject, log: log, refusals: newRefusals(log), rates: identity.NewRates(), ongoing: map[*ongoingRequest]struct{}{}, reloadRequests: make(chan struct{}, 1)}
	_, _, err = d.read()
	if !onlyAccounts(err) {
		return nil, err
	}
	if err != nil {
		d.log.Error(faultyAccounts, zap.Error(err))
	}
	return d, nil
}

// Accounts returns the accounts that a server lets in.
func (d *Directory) Accounts() (*natsd.Accounts, error) {
	operator, err := d.folder.operatorClaims()
	if err != nil {
		return nil, err
	}
	services, err := d.folder.ServicesAccount()
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return &natsd.Accounts{System: operator.SystemAccount, Services: services, Signed: maps.Clone(d.signed)}, nil
}

// Services returns the path of the .creds file with which the services connect.
func (f Folder) Services() string { return f.path(creds, services+".creds") }

// Find returns the identity of a role by the token of its id: an id is its own token. A
// revoked identity is not found.
func (d *Directory) Find(role identity.Role, token string) (identity.Identity, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.all[string(role)+"/"+token].active()
}

// Vouch returns the proof that a key belongs to this identity, if the key is in use.
func (d *Directory) Vouch(caller identity.Identity, key string) (endpoint.Voucher, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	h := d.all[caller.String()]
	if h == nil || h.Revoked != nil {
		return endpoint.Voucher{}, false
	}
	for _, k := range h.Keys {
		if k.Public == key && k.Until == nil && len(k.Certificate) > 0 {
			return endpoint.Voucher{Identities: d.operator, Certificate: k.Certificate, Signer: k.Signer, Delegation: k.Delegation}, true
		}
	}
	return endpoint.Voucher{}, false
}

// Names returns the ids of the identities with a role.
func (d *Directory) Names(role identity.Role) (ids []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, h := range d.all {
		if h.Role == role && h.Revoked == nil {
			ids = append(ids, h.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// Bearer returns the owner of a token, or why there is none.
func (d *Directory) Bearer(_ context.Context, token string) (identity.Identity, error) {
	hash := hashOf([]byte(token))
	d.mu.RLock()
	defer d.mu.RUnlock()
	h := d.hashes[hash]
	if h == nil {
		return identity.Identity{}, errors.New("the token is unknown or was revoked")
	}
	if h.Revoked != nil {
		return identity.Identity{}, fmt.Errorf("the token belongs to %s, which is revoked", h)
	}
	i := slices.IndexFunc(h.Tokens, func(t Token) bool { return t.Hash == hash })
	if until := h.Tokens[i].Until; until != nil && (clock.System{}).Now().After(*until) {
		return identity.Identity{}, fmt.Errorf("the token of %s has expired", h)
	}
	return h.Identity, nil
}

// Certificate returns the owner of the public key of a certificate that a trusted
// authority has signed.
func (d *Directory) Certificate(spki []byte) (identity.Identity, bool) {
	hash := hashOf(spki)
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.certs[hash].active()
}

// Person returns the identity of a person whom a provider has logged in.
func (d *Directory) Person(l Login) (identity.Identity, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.logins[l].active()
}

// ongoingRequest is a long-running request that ends when its identity's account changes.
type ongoingRequest struct {
	caller identity.Identity
	signed string // its account JWT when it began
	cancel context.CancelFunc
}

// maxRequestAge bounds how long a request runs before the caller has to authenticate
// again: a token may have expired.
const maxRequestAge = time.Hour

// Until returns a context that also ends when anything in the identity's account changes.
func (d *Directory) Until(ctx context.Context, caller identity.Identity) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, maxRequestAge)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.all[caller.String()]
	if now == nil || now.Revoked != nil || !reflect.DeepEqual(now.Identity, caller) {
		cancel()
		return ctx, cancel
	}
	h := &ongoingRequest{caller, d.signed[now.Account], cancel}
	d.ongoing[h] = struct{}{}
	return ctx, func() {
		cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.ongoing, h)
	}
}

// Allow reports whether a caller may send another request now.
func (d *Directory) Allow(caller string) bool { return d.rates.Allow(caller) }

// Refused records a request that was refused.
func (d *Directory) Refused(caller, request, reason string) {
	d.refusals.add(refusal{caller, request, reason})
}

// Refusals returns the number of refused requests so far.
func (d *Directory) Refusals() uint64 { return d.refusals.total.Load() }

// Alarm reports whether more requests are refused than mistakes explain.
func (d *Directory) Alarm() bool { return d.refusals.alarm() }

// faultyAccounts is the log message for unusable accounts.
const faultyAccounts = "unusable accounts: their identities have no permissions until the files are repaired"

// Faulty returns the names of the unusable accounts.
func (d *Directory) Faulty() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.faulty)
}

// Watch reads the folder again whenever it has changed, until ctx ends. It passes every
// changed account to admit, and retries until that succeeds, and the public key of every
// removed account to expel.
func (d *Directory) Watch(ctx context.Context, admit, expel func(account string) error) error {
	var pending []string
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for logged := ""; ; {
		select {
		case <-tick.C:
		case <-d.reloadRequests:
			d.fingerprint = 0
		case <-ctx.Done():
			d.refusals.flush()
			return ctx.Err()
		}
		changed, removed, err := d.read()
		if text := fmt.Sprint(err); err != nil && text != logged {
			logged = text
			d.log.Error(faultyAccounts, zap.Error(err))
		} else if err == nil {
			logged = ""
		}
		changed, pending = append(pending, changed...), nil
		for _, signed := range changed {
			if err := admit(signed); err != nil {
				pending = append(pending, signed)
				d.log.Error("cannot apply a changed account; retrying", zap.Error(err))
			}
		}
		for _, account := range removed {
			if err := expel(account); err != nil {
				d.log.Error("cannot disconnect the clients of a removed account", zap.String("account", account), zap.Error(err))
			}
		}
	}
}

// Reload reads the folder again even if it looks unchanged.
func (d *Directory) Reload() {
	select {
	case d.reloadRequests <- struct{}{}:
	default: // already requested
	}
}

// fingerprint returns a fingerprint of the accounts folder's metadata, and the time of
// its last change. A file overwritten in place does not change its folder, so every
// file counts.
func (f Folder) fingerprint() (sum uint64, at time.Time, err error) {
	files, err := os.ReadDir(f.path(accounts))
	if err != nil {
		return 0, at, err
	}
	folder, err := os.Stat(f.path(accounts)) // changes when a file is replaced
	if err != nil {
		return 0, at, err
	}
	at = folder.ModTime()
	operator, err := os.Stat(f.path(operatorJWT))
	if err != nil {
		return 0, at, err
	}
	if operator.ModTime().After(at) {
		at = operator.ModTime()
	}
	h := fnv.New64a()
	fmt.Fprintln(h, folder.ModTime().UnixNano(), operator.Size(), operator.ModTime().UnixNano())
	for _, file := range files {
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile: the fingerprint changes
		}
		if err != nil {
			return 0, at, err
		}
		fmt.Fprintln(h, info.Name(), info.Size(), info.ModTime().UnixNano())
		if info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return h.Sum64(), at, nil
}

// checkComplete refuses a folder without the accounts of the services and the system,
// without which nothing could be served.
func (d *Directory) checkComplete(bad error) error {
	if !onlyAccounts(bad) {
		return bad
	}
	if d.internal < len(Internal) {
		return fmt.Errorf("credential: of the accounts %s one is missing: put it back from a copy", strings.Join(Internal, " and "))
	}
	return nil
}

// minChangeAge is how old a change must be for its timestamp to distinguish it from the
// next one.
const minChangeAge = 2 * time.Second

// read reads the folder if it has changed, and returns the changed accounts and the
// public keys of the removed ones. The error names the files that are not valid accounts of
// this folder; their identities lose all permissions.
func (d *Directory) read() (changed, removed []string, err error) {
	sum, at, err := d.folder.fingerprint()
	if err != nil {
		return nil, nil, err
	}
	if sum == d.fingerprint {
		return nil, nil, nil
	}
	trusted, err := d.folder.operatorClaims()
	if err != nil {
		return nil, nil, err
	}
	if trusted.Subject != d.operator {
		return nil, nil, fmt.Errorf("credential: %s is of another operator now, %s: start the server again if that is meant", operatorJWT, trusted.Subject)
	}
	next := &Directory{all: map[string]*Holder{}, signed: map[string]string{}, hashes: map[string]*Holder{}, certs: map[string]*Holder{}, logins: map[Login]*Holder{}}
	bad := d.folder.forEachAccount(trusted, func(a storedAccount) {
		next.signed[a.claims.Subject] = a.token
		h := a.holder
		if h == nil {
			next.internal++
			return
		}
		next.all[h.String()] = h
		for _, t := range h.Tokens {
			next.hashes[t.Hash] = h
		}
		for _, c := range h.Certs {
			next.certs[strings.ToLower(c.SPKI)] = h
		}
		for _, l := range h.People {
			next.logins[l] = h
		}
	})
	if err := next.checkComplete(bad); err != nil {
		return nil, nil, err // the previous state stays in force
	}
	if current, err := d.folder.operatorClaims(); bad != nil && (err != nil || !reflect.DeepEqual(current, trusted)) {
		return nil, nil, err // accounts were being re-signed: the next read sees all of it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faulty = faultyOf(bad)
	for account, signed := range next.signed {
		if d.signed[account] != signed {
			changed = append(changed, signed)
		}
	}
	// Requests end when anything in their identity's account changes: callers who may
	// continue authenticate again.
	for h := range d.ongoing {
		if now := next.all[h.caller.String()]; now == nil || next.signed[now.Account] != h.signed {
			h.cancel()
		}
	}
	for account := range d.signed {
		if next.signed[account] == "" {
			removed = append(removed, account)
		}
	}
	d.all, d.signed, d.hashes, d.certs, d.logins = next.all, next.signed, next.hashes, next.certs, next.logins
	d.fingerprint = 0
	if (clock.System{}).Now().Sub(at).Abs() > minChangeAge { // another machine's clock may be ahead
		d.fingerprint = sum
	}
	return changed, removed, bad
}
