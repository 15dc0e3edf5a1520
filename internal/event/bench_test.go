package event

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

func BenchmarkRecord(b *testing.B) {
	at := time.Date(2025, 11, 1, 0, 45, 0, 5e8, time.UTC)
	r := RawRecord(AcceptedSubject("grid-east", "inc-1", "urn:tocsin:operator:grid-east", "r-1"), at, strings.Repeat("0", 64), bytes.Repeat([]byte("x"), 1500))
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
