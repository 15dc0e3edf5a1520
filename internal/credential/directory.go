package credential

import (
	"context"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// lookEvery is how often a folder is looked at: one that is revoked has to be cut
// off within a second.
const lookEvery = 200 * time.Millisecond

// Directory is who has a credential, as a folder says now.
type Directory struct {
	folder   Folder
	log      *zap.Logger
	refusals *refusals
	changed  time.Time // of the folder, when it was read

	mu     sync.RWMutex
	all    map[string]*Holder    // by ROLE/ID
	signed map[string]string     // accounts by public key
	hashes map[string]*Holder    // by the hash of a token
	until  map[*holding]struct{} // what goes on for long
	certs  map[string]*Holder    // by the hash of a public key
}

// Open reads a folder. One that holds an account that was not signed by its
// operator is refused.
func Open(f Folder, log *zap.Logger) (*Directory, error) {
	d := &Directory{folder: f, log: log, refusals: newRefusals(log), until: map[*holding]struct{}{}}
	if err := f.each(func(*jwt.AccountClaims, string) error { return nil }); err != nil {
		return nil, err
	}
	_, err := d.read()
	return d, err
}

// Accounts are what a server needs to let in those who have a credential.
func (d *Directory) Accounts() (*bus.Accounts, error) {
	operator, err := d.folder.trusted()
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return &bus.Accounts{Operator: operator, Signed: maps.Clone(d.signed), Services: d.folder.Services()}, nil
}

// Services is the .creds file with which the services connect.
func (f Folder) Services() string { return f.path(creds, services+".creds") }

// Find returns the identity of a role whose id makes a token: an id is a token as
// it is. Who was revoked is nobody.
func (d *Directory) Find(role identity.Role, token string) (identity.Identity, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	h := d.all[string(role)+"/"+token]
	if h == nil || h.Revoked != nil {
		return identity.Identity{}, false
	}
	return h.Identity, true
}

// Names are the ids of those who have a role.
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

// Bearer returns whose a token is.
func (d *Directory) Bearer(_ context.Context, token string) (identity.Identity, bool) {
	hash := hashOf(token)
	d.mu.RLock()
	defer d.mu.RUnlock()
	h := d.hashes[hash]
	if h == nil || h.Revoked != nil {
		return identity.Identity{}, false
	}
	i := slices.IndexFunc(h.Tokens, func(t Token) bool { return t.Hash == hash })
	if until := h.Tokens[i].Until; until != nil && (clock.System{}).Now().After(*until) {
		return identity.Identity{}, false
	}
	return h.Identity, true
}

// Certificate returns whose the public key of a certificate is, which somebody we
// trust has signed.
func (d *Directory) Certificate(spki []byte) (identity.Identity, bool) {
	hash := keyHash(spki)
	d.mu.RLock()
	defer d.mu.RUnlock()
	h := d.certs[hash]
	if h == nil || h.Revoked != nil {
		return identity.Identity{}, false
	}
	return h.Identity, true
}

// holding is something that goes on for as long as an identity has what it has.
type holding struct {
	who identity.Identity
	end context.CancelFunc
}

// Until returns a context that ends also when the identity is revoked or becomes
// another.
func (d *Directory) Until(ctx context.Context, who identity.Identity) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	h := &holding{who, cancel}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.all[who.String()]; now == nil || now.Revoked != nil {
		cancel()
		return ctx, cancel
	}
	d.until[h] = struct{}{}
	return ctx, func() {
		cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.until, h)
	}
}

// Refused records a request that was refused.
func (d *Directory) Refused(who, what, why string) { d.refusals.add(who, what, why) }

// Refusals is how many requests were refused so far.
func (d *Directory) Refusals() uint64 { return d.refusals.total.Load() }

// Alarm reports whether more is refused than by mistake.
func (d *Directory) Alarm() bool { return d.refusals.alarm() }

// Watch reads the folder again whenever it has changed, until ctx ends, and hands
// every account that is not as it was to admit.
func (d *Directory) Watch(ctx context.Context, admit func(signed string) error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		changed, err := d.read()
		if err != nil {
			d.log.Error("the credentials could not be read; they stand as they were", zap.Error(err))
			continue
		}
		for _, signed := range changed {
			if err := admit(signed); err != nil {
				d.log.Error("an account is not in force as it was signed", zap.Error(err))
			}
		}
	}
}

// settled is how old a change must be for its time to tell it from the next one.
const settled = 2 * time.Second

// read reads the folder where it has changed, and returns the accounts that are not
// as they were.
func (d *Directory) read() (changed []string, err error) {
	info, err := os.Stat(d.folder.path(accounts))
	if err != nil {
		return nil, err
	}
	if info.ModTime().Equal(d.changed) {
		return nil, nil
	}
	next := &Directory{all: map[string]*Holder{}, signed: map[string]string{}, hashes: map[string]*Holder{}, certs: map[string]*Holder{}}
	err = d.folder.each(func(claims *jwt.AccountClaims, signed string) error {
		next.signed[claims.Subject] = signed
		if claims.Name == services || claims.Name == system {
			return nil
		}
		h, err := holderOf(claims)
		if err != nil {
			return err
		}
		next.all[h.String()] = h
		for _, t := range h.Tokens {
			next.hashes[t.Hash] = h
		}
		for _, c := range h.Certs {
			next.certs[strings.ToLower(c.SPKI)] = h
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for account, signed := range next.signed {
		if d.signed[account] != signed {
			changed = append(changed, signed)
		}
	}
	for h := range d.until {
		if now := next.all[h.who.String()]; now == nil || now.Revoked != nil || !reflect.DeepEqual(now.Identity, h.who) {
			h.end()
		}
	}
	d.all, d.signed, d.hashes, d.certs = next.all, next.signed, next.hashes, next.certs
	if (clock.System{}).Now().Sub(info.ModTime()) > settled {
		d.changed = info.ModTime()
	}
	return changed, nil
}
