package audit

import (
	"context"
	"encoding/json"

	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// signed returns the administrator's signature of the request for a removal: nil without
// identities.
func (l *Log) signed(ctx context.Context, req endpoint.Request, removal event.Removal) (*evidence.SignedAct, error) {
	kept, err := json.Marshal(removal)
	if err != nil {
		return nil, err
	}
	subject := l.deps.Stream.Realm().Wire(event.RemovedSubject(removal.First))
	return l.deps.Callers.Signed(ctx, req, func(signed *evidence.SignedAct) error {
		return signed.VerifyRemoval(l.key.Origin(), subject, kept)
	})
}

// signerOf returns the post of a removal and the identity that signed it.
func signerOf(removal *event.Removal) string {
	if removal.Signed == nil {
		return removal.Officer
	}
	return removal.Officer + ", " + removal.Signed.By
}
