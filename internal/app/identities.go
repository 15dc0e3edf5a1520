package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// identify reads the identities of the data folder, where there are any.
func (a *App) identify() error {
	folder := credential.In(a.cfg.Data)
	there, err := folder.Exists()
	if err != nil {
		return fmt.Errorf("the identities in %s cannot be read, and without them the server would let in anybody: %w", folder, err)
	}
	if !there {
		a.cfg.Log.Warn("there are no identities: whoever reaches a door may use it, so they listen on loopback only, and this is for trying out; tocsin init makes identities")
		return nil
	}
	if a.who, err = credential.Open(folder, a.cfg.Log); err != nil {
		return err
	}
	for _, name := range a.who.Names(identity.Operator) {
		if _, ok := a.cfg.Rulebook.Register.Operator(name); !ok {
			a.cfg.Log.Warn("a credential is of an operator that is not in the register", zap.String("operator", name))
		}
	}
	for _, name := range a.who.Names(identity.Desk) {
		if _, ok := a.cfg.Rulebook.Register.Desk(name); !ok {
			a.cfg.Log.Warn("a credential is of a desk that is not in the register", zap.String("desk", name))
		}
	}
	return nil
}

// watchIdentities has what changes in the folder in force at once.
func (a *App) watchIdentities(ctx context.Context) error {
	if a.server == nil { // an outside NATS is told by whoever runs it
		nothing := func(string) error { return nil }
		return a.who.Watch(ctx, nothing, nothing)
	}
	return a.who.Watch(ctx, a.server.Admit, a.server.Expel)
}

// TLS are the files of a certificate, its key and, for clients that prove by one who
// they are, of the authority that signed theirs. They are read again when they
// change.
type TLS struct{ Cert, Key, ClientCA string }

// tlsLook is how often the files are looked at while connections are made.
const tlsLook = time.Second

// config returns a configuration that follows the files. clients asks those who
// connect for a certificate; who has none may prove otherwise who they are.
func (t TLS) config(clients bool, log *zap.Logger) (*tls.Config, error) {
	told := ""
	var mu sync.Mutex
	var looked time.Time
	var stamps [3]time.Time
	var now *tls.Config
	read := func() error {
		var next [3]time.Time
		for i, file := range []string{t.Cert, t.Key, t.ClientCA} {
			if file == "" {
				continue
			}
			info, err := os.Stat(file)
			if err != nil {
				return fmt.Errorf("tls: %w", err)
			}
			next[i] = info.ModTime()
		}
		if now != nil && next == stamps {
			return nil
		}
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		if clients && t.ClientCA != "" {
			pem, err := os.ReadFile(t.ClientCA)
			if err != nil {
				return fmt.Errorf("tls: %w", err)
			}
			c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
			if !c.ClientCAs.AppendCertsFromPEM(pem) {
				return fmt.Errorf("tls: %s holds no certificate", t.ClientCA)
			}
		}
		now, stamps = c, next
		return nil
	}
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("tls: a certificate and its key are needed")
	}
	if err := read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: now.Certificates, // for who looks here whether there is one
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			mu.Lock()
			defer mu.Unlock()
			if at := (clock.System{}).Now(); at.Sub(looked) > tlsLook {
				looked = at
				// While files are being replaced what stood before goes on.
				if err := read(); err != nil && err.Error() != told {
					told = err.Error()
					log.Error("the certificate was not read again; the one before goes on", zap.Error(err))
				} else if err == nil {
					told = ""
				}
			}
			return now, nil
		},
	}, nil
}

// holdOutside refuses an outside NATS that does not tell apart who has a credential of
// ours: there anybody could write the subjects by which the services know who asks.
func (a *App) holdOutside(ctx context.Context) error {
	if a.who == nil {
		return nil
	}
	account, err := credential.In(a.cfg.Data).ServicesAccount()
	if err != nil {
		return err
	}
	reply, err := a.nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	var info struct {
		Data struct {
			Account string `json:"account"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(reply.Data, &info)
	}
	if err != nil || info.Data.Account != account {
		return fmt.Errorf("it does not hold clients to the accounts of %s: give it operator.jwt and the accounts", credential.In(a.cfg.Data))
	}
	return nil
}
