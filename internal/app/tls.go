package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// TLS has the files of a certificate, its key and, for clients that authenticate by
// certificate, of the authority that signed theirs. They are read again when they change,
// and on Reload.
type TLS struct{ Cert, Key, ClientCA string }

// certificateCheck is how often the files are checked while connections are made.
const certificateCheck = time.Second

// certificates follow the files of a TLS.
type certificates struct {
	files   TLS
	clients bool // clients are asked for a certificate
	log     *zap.Logger

	mu          sync.Mutex
	current     *tls.Config
	stamps      [3]time.Time // modification times of the files when they were read
	lastChecked time.Time
	failure     string // the last one that was logged
}

// load reads the files. With clients set, clients are asked for a certificate; one
// without may authenticate in another way.
func (t TLS) load(clients bool, log *zap.Logger) (*certificates, error) {
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("tls: a certificate and its key are needed")
	}
	c := &certificates{files: t, clients: clients, log: log}
	return c, c.reload()
}

// config returns a configuration that follows the files.
func (c *certificates) config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: c.current.Certificates, // for a library that checks whether there is one
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.latest(), nil
		},
	}
}

// latest reads the files again if they have changed. While they cannot be read the
// previous configuration stays in use.
func (c *certificates) latest() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := clock.Steady()
	if now.Sub(c.lastChecked) <= certificateCheck {
		return c.current
	}
	c.lastChecked = now
	stamps, err := c.files.stamps()
	if err == nil && stamps != c.stamps {
		err = c.read()
	}
	switch {
	case err == nil:
		c.failure = ""
	case err.Error() != c.failure:
		c.failure = err.Error()
		c.log.Error("cannot reload the certificate; the one before stays in use", zap.Error(err))
	}
	return c.current
}

// reload reads the files, whether they have changed or not. After an error the previous
// configuration stays in use.
func (c *certificates) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *certificates) read() error {
	stamps, err := c.files.stamps()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.clients && c.files.ClientCA != "" {
		pem, err := os.ReadFile(c.files.ClientCA)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		next.ClientCAs, next.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !next.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("tls: %s holds no certificate", c.files.ClientCA)
		}
	}
	c.current, c.stamps = next, stamps
	return nil
}

// stamps returns the modification times of the files.
func (t TLS) stamps() (stamps [3]time.Time, err error) {
	for i, file := range []string{t.Cert, t.Key, t.ClientCA} {
		if file == "" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return stamps, fmt.Errorf("tls: %w", err)
		}
		stamps[i] = info.ModTime()
	}
	return stamps, nil
}

// Reload reads the certificates and the accounts of the identities again. Those that
// cannot be read stay as they were, which is logged.
func (a *App) Reload() {
	failed := false
	for _, c := range a.certificates {
		if err := c.reload(); err != nil {
			failed = true
			a.cfg.Log.Error("cannot reload the certificate; the one before stays in use", zap.Error(err))
		}
	}
	if a.identities != nil {
		a.identities.Reload()
	}
	if !failed {
		a.cfg.Log.Info("reloaded certificates and accounts", zap.Int("certificates", len(a.certificates)), zap.Bool("accounts", a.identities != nil))
	}
}
