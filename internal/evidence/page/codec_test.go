package page

import (
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

// The page knows the members of records by name alone.
func TestPage_ReadsMembersOfRecords(t *testing.T) {
	t.Parallel()
	codectest.Reads(t, event.JSON, event.Escalated{}, told{})
	codectest.Reads(t, event.JSON, event.Acknowledgement{}, acknowledgement{})
	codectest.Reads(t, event.JSON, event.Removal{}, removal{})
	codectest.Reads(t, event.JSON, event.RulesBody{}, rules{})
}
