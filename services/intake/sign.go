package intake

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// signer signs receipts with a key of intake's own, which the log certifies: who has
// a receipt can show to anyone what was reported and when, and intake never holds the
// key of the log. The nil signer signs nothing: without identities nobody knows who
// reported.
type signer struct {
	deps        Deps
	key         *evidence.ReceiptKey
	certificate atomic.Pointer[string]
	certified   chan struct{} // closed when it is there

	mu      sync.Mutex
	waiting []*unsigned
	signing bool
}

func newSigner(d Deps) *signer {
	if !d.Bus.HasIdentities() {
		return nil
	}
	return &signer{deps: d, key: evidence.NewReceiptKey(), certified: make(chan struct{})}
}

// Pauses of asking the log for the certificate, which may run elsewhere, or start
// later.
const (
	certifyWait = 3 * time.Second // how long the doors wait for it: reports go before receipts that prove themselves
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
	var answer event.CertifyAnswer
	if err := s.deps.Bus.Ask(ctx, event.DoorCertify, event.CertifyRequest{Key: s.key.Public()}, &answer); err != nil {
		return err
	}
	if answer.Certificate == "" {
		return errors.Join(errors.New("the log does not certify the key of receipts"), fault.Invalid(Name, answer.Errors))
	}
	s.certificate.Store(&answer.Certificate)
	close(s.certified)
	return nil
}

// wait returns when the certificate is there, or late.
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

// alone signs receipts of one answer with a signature of their own. Those of what is not
// certain are signed so: who has one of several that are signed together can show the
// others, too, with what is in the log, and of these all must be true.
func (s *signer) alone(receipts []event.Receipt) {
	if s != nil {
		s.together(receipts)
	}
}

// sign signs receipts. What waits while others are being signed is signed with the
// next: a signature for each took seven of a hundred of what a report costs.
func (s *signer) sign(receipts []event.Receipt) {
	if s == nil {
		return
	}
	w := &unsigned{receipts, make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	if !s.signing {
		s.signing = true
		go s.signWaiting()
	}
	s.mu.Unlock()
	<-w.done
}

// unsigned are the receipts of one answer.
type unsigned struct {
	receipts []event.Receipt
	done     chan struct{}
}

func (s *signer) signWaiting() {
	for {
		s.gather()
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		s.signing = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		answers := make([][]event.Receipt, len(batch))
		for i, w := range batch {
			answers[i] = w.receipts
		}
		s.together(answers...)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// together signs all receipts of some answers with one signature.
func (s *signer) together(answers ...[]event.Receipt) {
	certificate := ""
	if c := s.certificate.Load(); c != nil {
		certificate = *c
	}
	var claims []evidence.Receipt
	for _, receipts := range answers {
		for i := range receipts {
			claims = append(claims, receipts[i].Claim())
		}
	}
	signed := s.key.Sign(claims, certificate)
	for _, receipts := range answers {
		for i := range receipts {
			receipts[i].Signed, signed = signed[0], signed[1:]
		}
	}
}

// gather lets whoever was woken by the same commit come first, for as long as more of
// them do.
func (s *signer) gather() {
	for before := -1; ; {
		runtime.Gosched()
		s.mu.Lock()
		n := len(s.waiting)
		s.mu.Unlock()
		if n <= before {
			return
		}
		before = n
	}
}
