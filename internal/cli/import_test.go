package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const incidentOf31June = `{"incident_id":"b","timeline":{"incident":{"year":2019,"month":6,"day":31}}}`

// A faulty line is named as "line N: $.path: …"; all others are imported.
func TestImport_NamesFaultyLines(t *testing.T) {
	good := `{"incident_id":"a","timeline":{"incident":{"year":2019}}}`
	other := `{"incident_id":"a","timeline":{"incident":{"year":2018}}}`
	code, out, errOut := tocsin(t, strings.Join([]string{good, incidentOf31June, other}, "\n"), "import", "veris", "--operator", "grid-east")
	require.Equal(t, exitRefused, code)
	require.Equal(t, 2, strings.Count(out, "\n"))
	require.Contains(t, "\n"+errOut, "\nline 2: $.timeline.incident.day: that month has no such day\n")
	require.Contains(t, errOut, "note: line 3: $.incident_id: line 1 has the same id")

	code, _, errOut = tocsin(t, good, "import", "veris", "--operator", "grid-east")
	require.Equal(t, exitOK, code)
	require.Empty(t, errOut)
}
