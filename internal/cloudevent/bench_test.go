package cloudevent

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func BenchmarkFromNATS(b *testing.B) {
	e, err := Parse([]byte(fullEvent))
	require.NoError(b, err)
	header, data := toNATS(e)
	delete(header, "ce-datacontenttype") // as over HTTP
	header[headerContentType] = []string{"application/json"}
	for name, from := range map[string]func() error{
		"structured": func() error {
			_, err := FromNATS(map[string][]string{headerContentType: {"application/cloudevents+json"}}, []byte(fullEvent))
			return err
		},
		"binary": func() error { _, err := FromNATS(header, data); return err },
		"http": func() error {
			reports, err := FromHTTP(http.Header(header), data)
			return errors.Join(err, reports.Parse(0).Err)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := from(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A refusal needs the library, which alone can explain it.
func BenchmarkParseRefused(b *testing.B) {
	b.ReportAllocs()
	raw := eventWith(event.TypeInitial, `"facts":{"outage":[{"scope":"overall"}]},"ownGrade":"x"`)
	for b.Loop() {
		if _, err := Parse(raw); err == nil {
			b.Fatal("taken")
		}
	}
}
