package interchange

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A name that differs from that of VERIS in its case would be passed over, and with it
// what it says: it is a fault with its path.
func TestVERIS_LetterCase(t *testing.T) {
	t.Parallel()
	const good = `{"incident_id":"a","security_incident":"Confirmed","action":{"hacking":{}},"timeline":{"incident":{"year":2020}},"attribute":{"confidentiality":{"data_disclosure":"Yes","data_total":5,"data":[{"variety":"Personal","amount":5}]},"availability":{"duration":{"unit":"Hours","value":2}}},"impact":{"overall_amount":1}}`
	for name, path := range map[string]string{
		"attribute": "$", "confidentiality": "$.attribute", "data_disclosure": "$.attribute.confidentiality", "data_total": "$.attribute.confidentiality",
		"variety": "$.attribute.confidentiality.data[0]", "unit": "$.attribute.availability.duration", "overall_amount": "$.impact",
		"hacking": "$.action", "incident_id": "$", "security_incident": "$", "timeline": "$", "year": "$.timeline.incident",
	} {
		wrong := strings.ToUpper(name[:1]) + name[1:]
		lines, faults := run(t, VERIS, plant, strings.Replace(good, `"`+name+`"`, `"`+wrong+`"`, 1)+"\n"+strings.Replace(good, `"a"`, `"b"`, 1))
		require.Len(t, lines, 1, "the other comes out")
		require.Equal(t, []string{"line 1: " + path + "." + wrong + `: must be written "` + name + `": names differ in their case`}, faults)
	}
	for word, path := range map[string]string{"Personal": "$.attribute.confidentiality.data[0].variety", "Interruption": "$.attribute.availability.variety[0]"} {
		text := strings.Replace(strings.Replace(good, `"availability":{`, `"availability":{"variety":["Interruption"],`, 1), `"`+word+`"`, `"`+strings.ToLower(word)+`"`, 1)
		_, faults := run(t, VERIS, plant, text)
		require.Equal(t, []string{"line 1: " + path + `: "` + strings.ToLower(word) + `" must be written "` + word + `"`}, faults)
	}
}
