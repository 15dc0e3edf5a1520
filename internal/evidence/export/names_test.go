package export

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// A record in the log that two readers would understand differently.
func TestRecords_NamesThatDifferOnlyInCase(t *testing.T) {
	t.Parallel()
	act := readSigned(t).Act
	for name, r := range map[string]evidence.Record{
		"beside":                {Subject: "incident.graded.mill.flood.1", Body: []byte(`{"grade":"general","Grade":"major"}`)},
		"deep":                  {Subject: "incident.accepted.mill.flood.1", Body: []byte(`{"event":{"data":[{"a":1,"A":2}]}}`)},
		"twice":                 {Subject: "incident.accepted.mill.flood.1", Body: []byte(`{"event":1,"event":2}`)},
		"in base64":             {Subject: "incident.graded.mill.flood.1", Body: []byte("{\"grade\":\"general\",\n\"Grade\":\"major\"}")},
		"an act in its place":   {Subject: actSubject, Body: []byte(strings.Replace(act, `"signed":`, `"Signed":`, 1))},
		"an act's key":          {Subject: actSubject, Body: []byte(strings.Replace(act, `"key":`, `"Key":`, 1))},
		"an act's second grade": {Subject: actSubject, Body: []byte(strings.Replace(act, `"signed":`, `"Grade":"general","signed":`, 1))},
		"an act's second key":   {Subject: actSubject, Body: []byte(strings.Replace(act, `"key":`, `"KEY":"U","key":`, 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.Sequence = 1
			l := logOf(t, []evidence.Record{r})
			p := l.prove(t, 1)
			_, err := p.Verify(l.verifier)
			if err == nil {
				_, err = l.verifier.ActOf(r)
			}
			require.Error(t, err, "its proof")
			dir := filepath.Join(t.TempDir(), "export")
			l.export(t, dir, 1, 1, nil)
			require.NotEmpty(t, l.verify(t, dir).Findings, "its export")
		})
	}
}

func TestManifest_NamesThatDifferOnlyInCase(t *testing.T) {
	t.Parallel()
	m := Manifest{Format: ManifestFormat, First: 1, Rules: []ManifestRules{}, Files: []ManifestFile{}}
	raw, err := m.encode()
	require.NoError(t, err)
	_, err = parseManifest(raw)
	require.NoError(t, err)
	for _, changed := range []string{
		strings.Replace(string(raw), `"first"`, `"First"`, 1), strings.Replace(string(raw), `"first"`, `"First": 3, "first"`, 1),
		strings.Replace(string(raw), `"size"`, `"Size"`, 1),
	} {
		_, err := parseManifest([]byte(changed))
		require.Error(t, err)
	}
}
