package cloudevent

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

func TestReport_HasEveryMemberOfItsSchema(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		schema, err := fs.ReadFile(schemas.Reports, name)
		require.NoError(t, err)
		return schema
	}
	codectest.Schema(t, read("withdrawal.v1.json"), "", event.Report{})
	common := read("common.v1.json")
	for definition, of := range map[string]any{
		"facts": event.Facts{}, "outage": event.Outage{}, "siteUnreachable": event.SiteUnreachable{}, "defacement": event.Defacement{}, "share": event.Share{},
		"money": event.Money{}, "attachment": event.Attachment{}, "place": event.Place{}, "contact": event.Contact{}, "ransom": event.Ransom{},
		"earlierIncident": event.Earlier{}, "alsoReportedItem": event.AlsoReported{},
	} {
		codectest.Schema(t, common, definition, of)
	}
}
