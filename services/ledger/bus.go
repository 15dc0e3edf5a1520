package ledger

import (
	"context"
	"time"

	"github.com/tocsin-project/tocsin/services/ledger/audit"
)

// Bus is what the ledger needs of the bus: the stream of its log, the times at which
// records were stored, and whether writing is frozen.
type Bus interface {
	audit.Stream
	SequenceAt(ctx context.Context, at time.Time) (uint64, error)
	FreezeReason() (reason string)
}
