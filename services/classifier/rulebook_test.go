package classifier

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

const (
	onSite = `"facilities":["dispatch"],"discoveredAt":"2026-03-02T08:40:00+08:00"`
	short  = `"facts":{"outage":[{"scope":"overall","duration":"PT9M"}]}`
	large  = `"facts":{"outage":[{"scope":"overall","duration":"PT20M"}]}`
	major  = `"facts":{"outage":[{"scope":"overall","duration":"PT2H"}]}`
)

// rulebook returns the embedded packs and the example register, in which text may be
// replaced once; replace alternates old and new.
func rulebook(t testing.TB, replace ...string) grading.Rulebook {
	t.Helper()
	packs := fstest.MapFS{}
	names, err := fs.Glob(schemas.Statutes, "*.yaml")
	require.NoError(t, err)
	for _, name := range names {
		raw, err := fs.ReadFile(schemas.Statutes, name)
		require.NoError(t, err)
		packs[name] = &fstest.MapFile{Data: raw}
	}
	text, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	files := []*[]byte{&text}
	for _, f := range packs {
		files = append(files, &f.Data)
	}
	for i := 0; i < len(replace); i += 2 {
		found := 0
		for _, f := range files {
			if strings.Contains(string(*f), replace[i]) {
				found++
				*f = []byte(strings.Replace(string(*f), replace[i], replace[i+1], 1))
			}
		}
		require.Equal(t, 1, found, "files that contain %q", replace[i])
	}
	set, err := statute.Load(packs)
	require.NoError(t, err)
	reg, err := register.Decode(text)
	require.NoError(t, err)
	return grading.Rulebook{Statutes: set, Register: reg}
}

// taken returns a report of grid-east as intake stores it.
func taken(kind, id string, received time.Time, data string) *event.Accepted {
	return &event.Accepted{
		Operator: "grid-east", Incident: "x", Report: id, Source: "urn:tocsin:operator:grid-east",
		Type: "tocsin.report." + kind + ".v1", ReceivedAt: received,
		Event: jsontext.Value(fmt.Sprintf(`{"id":%q,"data":{"containsNoStateSecrets":true,%s}}`, id, data)),
	}
}

// act returns a desk's act on the incident of taken.
func act(kind, id, desk string, minutes int) *event.DeskAct {
	return &event.DeskAct{
		Kind: kind, ID: id, Desk: desk, Operator: "grid-east", Incident: "x",
		Officer: "post " + id, Reason: "because " + id, At: nine.Add(time.Duration(minutes) * time.Minute),
	}
}
