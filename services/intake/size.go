package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// sizeFaults refuses a large report if the known facts of its incident leave no room for
// it: every revision repeats them. Few reports are large; for the others nothing is
// looked up.
func (in *Intake) sizeFaults(ctx context.Context, s submission) ([]fault.Detail, error) {
	if len(s.payload) < event.LargeReport {
		return nil, nil
	}
	last, err := in.deps.Bus.Last(ctx, event.GradedPrefix(s.operator, s.event.Subject)+"*")
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(last.Data)+len(s.payload) <= event.MaxAdded {
		return nil, nil
	}
	return []fault.Detail{{Path: "$.data", Message: fmt.Sprintf(
		"has %d bytes, and what is known of the incident has %d: together at most %d are taken. First send a report of less than %d bytes that sets long texts or lists to null or shortens them, or report the rest as an incident of its own",
		len(s.payload), len(last.Data), event.MaxAdded, event.LargeReport)}}, nil
}
