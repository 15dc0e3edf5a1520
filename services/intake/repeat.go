package intake

import (
	"context"
	"errors"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// repeats answers reports that are all in the ledger already, which needs no room on the
// disk: while reports are refused for lack of room, a sender can still learn what was
// taken. If one of them is new, nothing is answered and full is the error.
func (in *Intake) repeats(ctx context.Context, subs []submission, full error) ([]event.Receipt, error) {
	receipts := make([]event.Receipt, len(subs))
	for i, s := range subs {
		if s.err != nil || len(in.faultsOf(s)) > 0 {
			return nil, full
		}
		first, err := in.deps.Bus.Last(ctx, event.AcceptedSubject(s.operator, s.event.Subject, s.event.Source, s.event.ID))
		if errors.Is(err, bus.ErrNotFound) {
			return nil, full
		}
		if err != nil {
			return nil, err
		}
		receipts[i], err = in.receipt(s, nil, event.Record{}, bus.Result{Sequence: first.Sequence, Existing: &first})
		if err != nil {
			return nil, err
		}
		if receipts[i].Status != event.StatusDuplicate {
			return nil, full // a conflict is kept as a refused report
		}
	}
	in.signer.sign(receipts)
	for i, s := range subs {
		in.warn(ctx, s.event, &receipts[i])
	}
	return receipts, nil
}
