package deadline

import (
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestDemands_AreMembersOfAGradedRecord(t *testing.T) {
	t.Parallel()
	codectest.Reads(t, event.JSON, event.Graded{}, demands{})
}
