package desk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// signed is by what it can be known, from the record alone, that the desk did what
// the body says: nil without identities. With them an act that the desk's own key has
// not signed is refused: a connection can be borrowed, and who keeps the log could
// write one.
func (s service) signed(ctx context.Context, req bus.Request, subject string, body any) (*evidence.SignedAct, error) {
	if !s.deps.Bus.HasIdentities() {
		return nil, nil
	}
	who, key := identity.Of(ctx), req.Header.Get(event.HeaderKey)
	if key == "" {
		return nil, bus.Forbidden("it is not signed: what a desk does bears the headers " + event.HeaderKey + " and " + event.HeaderSignature)
	}
	identities, certificate, ok := s.vouched(ctx, who, key)
	if !ok {
		return nil, bus.Forbidden("it is signed with a key that is not, or not any more, of " + who.String() + ": tocsin credential rotate gives it one")
	}
	signature, err := base64.StdEncoding.DecodeString(req.Header.Get(event.HeaderSignature))
	if err != nil {
		return nil, bus.Forbidden("its signature is not base64")
	}
	signed := &evidence.SignedAct{By: who.String(), Key: key, Signature: signature, Sent: string(req.Data), Identities: identities, Certificate: certificate}
	kept, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	// What is held against the signature is what will be read.
	raw, err := json.Marshal(signed)
	if err != nil {
		return nil, err
	}
	stored := new(evidence.SignedAct)
	if err := json.Unmarshal(raw, stored); err != nil {
		return nil, err
	}
	wire := s.deps.Bus.Realm().Wire(subject)
	if err := stored.Verify(wire, kept); err != nil {
		return nil, bus.Forbidden("its signature does not hold for " + wire + ": " + err.Error())
	}
	return stored, nil
}

// A key that was just made may sign before everybody has read of it.
const (
	vouchTries = 10
	vouchPause = 50 * time.Millisecond
)

func (s service) vouched(ctx context.Context, who identity.Identity, key string) (identities string, certificate []byte, ok bool) {
	for range vouchTries {
		if identities, certificate, ok = s.deps.Bus.Vouch(who, key); ok {
			return identities, certificate, true
		}
		select {
		case <-time.After(vouchPause):
		case <-ctx.Done():
			return "", nil, false
		}
	}
	return "", nil, false
}
