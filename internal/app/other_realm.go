package app

import (
	"context"
	"errors"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// inOtherRealm returns the function by which a realm's intake checks whether the other
// realm has an incident: a drill's report of a real incident is a mix-up, and must be
// reported. It is all that a realm learns of the other.
func (a *App) inOtherRealm(of event.Realm) func(ctx context.Context, operator, incident string) (bool, error) {
	return func(ctx context.Context, operator, incident string) (bool, error) {
		for _, r := range a.realms {
			if r.name == of {
				continue
			}
			_, err := r.bus.First(ctx, event.AcceptedOf(operator, incident))
			if err == nil {
				return true, nil
			}
			if !errors.Is(err, bus.ErrNotFound) {
				return false, err
			}
		}
		return false, nil
	}
}
