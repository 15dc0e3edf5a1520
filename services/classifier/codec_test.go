package classifier

import (
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestCausesFolded_AreMembersOfAGradedRecord(t *testing.T) {
	t.Parallel()
	codectest.Reads(t, event.JSON, event.Graded{}, causesFolded{})
}
