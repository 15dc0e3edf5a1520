package cloudevent

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/fault"
)

const withdrawn = `{"specversion":"1.0","id":"r","source":"urn:a","type":"tocsin.report.withdrawal.v1","subject":"i","data":{"containsNoStateSecrets":true,"reason":"x"}}`

func faultsOf(err error) (list []string) {
	for _, d := range fault.DetailsOf(err) {
		list = append(list, d.Path+": "+d.Message)
	}
	return list
}

// A name that is wrong only in its case is one fault, which gives the right spelling.
func TestParse_LetterCase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{`"data"`, `"Data"`, `$.Data: must be written "data": names differ in their case`},
		{`"data"`, `"DATA_base64"`, `$.DATA_base64: must be written "data_base64": names differ in their case`},
		{`"id"`, `"ID"`, `$.ID: must be written "id": names differ in their case`},
		{`"specversion"`, `"specVersion"`, `$.specVersion: must be written "specversion": names differ in their case`},
		{`"type"`, `"Type"`, `$.Type: must be written "type": names differ in their case`},
		{`"data"`, `"Data":{},"data"`, `$.Data: must be written "data": names differ in their case`},
		{`"data"`, `"Extra":{},"data"`, `$.Extra: is not the name of an attribute: want lower-case letters and digits`},
		{`"reason"`, `"Reason"`, `$.data.Reason: must be written "reason": names differ in their case`},
		{`"containsNoStateSecrets"`, `"containsNoStatesecrets"`, `$.data.containsNoStatesecrets: must be written "containsNoStateSecrets": names differ in their case`},
	} {
		_, err := Parse([]byte(strings.Replace(withdrawn, c.old, c.new, 1)))
		require.Equal(t, []string{c.want}, faultsOf(err), c.new)
	}
	_, err := Parse([]byte(withdrawn))
	require.NoError(t, err)
}

// UTF-16 is named in the fault, in either byte order, with a byte order mark or without.
func TestParse_NamesUTF16(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}", "\uFEFF{}", " [{}]", "\uFEFF\"急\""} {
		for _, low := range []int{0, 1} {
			var raw []byte
			for _, u := range utf16.Encode([]rune(text)) {
				pair := [2]byte{}
				pair[low], pair[1-low] = byte(u), byte(u>>8)
				raw = append(raw, pair[:]...)
			}
			_, err := Parse(raw)
			require.Equal(t, []string{"$: " + utf16Message}, faultsOf(err))
			_, err = FromNATS(map[string][]string{"Content-Type": {"application/json"}, "ce-id": {"r"}, "ce-source": {"urn:a"}, "ce-specversion": {"1.0"}, "ce-type": {"tocsin.report.withdrawal.v1"}, "ce-subject": {"i"}}, raw)
			require.Equal(t, []string{"$.data: " + utf16Message}, faultsOf(err))
			_, err = FromHTTP(map[string][]string{"Content-Type": {"application/cloudevents-batch+json"}}, raw)
			require.Equal(t, []string{"$: " + utf16Message}, faultsOf(err))
			require.ErrorContains(t, Split(bytes.NewReader(raw), func([]byte) error { return nil }), utf16Message)
		}
	}
}
