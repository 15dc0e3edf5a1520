package endpoint

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Signed returns the caller's signature of a request, as a record stores it, after verify
// has accepted it; nil without identities, where nobody can sign. A request not signed
// with the caller's own key is forbidden: a connection can be borrowed, and the keeper of
// the log could write such a record.
func (s *Server) Signed(ctx context.Context, req Request, verify func(*evidence.SignedAct) error) (*evidence.SignedAct, error) {
	if !s.HasIdentities() {
		return nil, nil
	}
	caller, key := identity.Of(ctx), req.Header.Get(api.HeaderKey)
	if key == "" {
		return nil, Forbidden("it is not signed: the request needs the headers " + api.HeaderKey + " and " + api.HeaderSignature)
	}
	voucher, ok := s.vouched(ctx, caller, key)
	if !ok {
		return nil, Forbidden("it is signed with a key that does not belong, or no longer belongs, to " + caller.String() + ": tocsin credential rotate replaces it")
	}
	signature, err := base64.StdEncoding.DecodeString(req.Header.Get(api.HeaderSignature))
	if err != nil {
		return nil, Forbidden("its signature is not base64")
	}
	signed := &evidence.SignedAct{
		By: caller.String(), Key: key, Signature: signature, Sent: string(req.Data),
		Identities: voucher.Identities, Certificate: voucher.Certificate, Signer: voucher.Signer, Delegation: voucher.Delegation,
	}
	// Verify exactly what will be read from the record.
	raw, err := json.Marshal(signed)
	if err != nil {
		return nil, err
	}
	stored := new(evidence.SignedAct)
	if err := json.Unmarshal(raw, stored); err != nil {
		return nil, err
	}
	if err := verify(stored); err != nil {
		return nil, Forbidden("its signature does not hold: " + err.Error())
	}
	return stored, nil
}

// Voucher proves that a key belongs to an identity: see evidence.SignedAct.
type Voucher struct {
	Identities  string
	Certificate []byte
	Signer      string
	Delegation  []byte
}

// A new key may sign before this process has read it.
const (
	vouchTries = 10
	vouchPause = 50 * time.Millisecond
)

func (s *Server) vouched(ctx context.Context, caller identity.Identity, key string) (Voucher, bool) {
	for range vouchTries {
		if voucher, ok := s.cfg.Identities.Vouch(caller, key); ok {
			return voucher, true
		}
		select {
		case <-time.After(vouchPause):
		case <-ctx.Done():
			return Voucher{}, false
		}
	}
	return Voucher{}, false
}
