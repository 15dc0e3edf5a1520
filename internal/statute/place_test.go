package statute

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/fault"
)

// A fault of a calendar names its file.
func TestLoad_FaultOfACalendarNamesItsFile(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"x.yaml":           {Data: []byte("id: x\n")},
		"calendars/x.yaml": {Data: []byte("id: x\n")},
	})
	details := fault.DetailsOf(err)
	require.NotEmpty(t, details)
	require.Contains(t, details[0].Path, "calendars/x.yaml: $.")
}
