package event

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

func BenchmarkFromNATS(b *testing.B) {
	e, err := ParseEvent([]byte(fullEvent))
	require.NoError(b, err)
	header, data := ToNATS(e)
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
func BenchmarkParseEventRefused(b *testing.B) {
	b.ReportAllocs()
	raw := eventWith(TypeInitial, `"facts":{"outage":[{"scope":"overall"}]},"ownGrade":"x"`)
	for b.Loop() {
		if _, err := ParseEvent(raw); err == nil {
			b.Fatal("taken")
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	at := time.Date(2025, 11, 1, 0, 45, 0, 5e8, time.UTC)
	r := RawRecord(AcceptedSubject("grid-east", "inc-1", "urn:tocsin:operator:grid-east", "r-1"), at, hexSHA256(nil), []byte(fullEvent))
	m := r.Message(Real)
	for name, do := range map[string]func(){
		"message": func() { r.Message(Real) },
		"entry":   func() { evidence.EntryHash(7, m.Subject, m.Header, m.Data) },
		"read":    func() { ReadStored(Real, m.Subject, m.Header, m.Data, 7, at) },
		"subject": func() { ParseSubject(r.Subject) },
		"new":     func() { RawRecord(r.Subject, at, r.Digest, r.Data) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}
