package intake

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// signer signs receipts with a key of intake's own, which the log certifies: the holder
// of a receipt can prove to anyone what was reported and when, and intake never has the
// key of the log. The nil signer signs nothing: without identities the reporter is
// unknown.
type signer struct {
	deps        Deps
	key         *evidence.ReceiptKey
	certificate atomic.Pointer[string]
	certified   chan struct{} // closed when it is stored
}

func newSigner(d Deps) *signer {
	if !d.Endpoints.HasIdentities() {
		return nil
	}
	return &signer{deps: d, key: evidence.NewReceiptKey(), certified: make(chan struct{})}
}

// Pauses in asking the log for the certificate; the log may run in another process, or
// start later.
const (
	certifyWait = 3 * time.Second // how long the endpoints wait for it; after that, taking reports is more important
	certifyTry  = 500 * time.Millisecond
)

// run has the key certified.
func (s *signer) run(ctx context.Context) error {
	if s == nil {
		return nil
	}
	for {
		err := s.certify(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		select {
		case <-time.After(certifyTry):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *signer) certify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, certifyWait)
	defer cancel()
	var answer api.CertifyAnswer
	if err := s.deps.Endpoints.Ask(ctx, api.EndpointCertify, api.CertifyRequest{Key: s.key.Public()}, &answer); err != nil {
		return err
	}
	if answer.Certificate == "" {
		return errors.Join(errors.New("the log does not certify the key of receipts"), fault.Invalid(Name, answer.Errors))
	}
	s.certificate.Store(&answer.Certificate)
	close(s.certified)
	return nil
}

// wait returns when the certificate is stored, or after certifyWait.
func (s *signer) wait(ctx context.Context) {
	if s == nil {
		return
	}
	select {
	case <-s.certified:
	case <-time.After(certifyWait):
		s.deps.Log.Warn("the log has not certified the key of receipts yet: until it does they are signed, and do not prove themselves")
	case <-ctx.Done():
	}
}

// sign signs the receipts of one answer, all with one signature.
func (s *signer) sign(receipts []event.Receipt) {
	if s == nil {
		return
	}
	certificate := ""
	if c := s.certificate.Load(); c != nil {
		certificate = *c
	}
	claims := make([]evidence.Receipt, len(receipts))
	for i := range receipts {
		claims[i] = receipts[i].Claim()
	}
	for i, signed := range s.key.Sign(claims, certificate) {
		receipts[i].Signed = signed
	}
}
