package desk

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// signed returns the desk's signature of what the body of its record says: nil without
// identities.
func (s service) signed(ctx context.Context, req bus.Request, subject string, body any) (*evidence.SignedAct, error) {
	kept, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	wire := s.deps.Bus.Realm().Wire(subject)
	return s.deps.Bus.Signed(ctx, req, func(signed *evidence.SignedAct) error {
		if err := signed.Verify(wire, kept); err != nil {
			return fmt.Errorf("for %s: %w", wire, err)
		}
		return nil
	})
}
