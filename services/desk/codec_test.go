package desk

import (
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestRevision_HasMembersOfAGradedRecord(t *testing.T) {
	t.Parallel()
	codectest.Reads(t, event.JSON, event.Graded{}, revision{})
}
