package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// BenchmarkPage reads pages of 50 rows or records from a running ledger of 50,000
// records: a list of escalations, a proof, and the story of an incident whose records are
// adjacent or spread over the whole ledger.
func BenchmarkPage(b *testing.B) {
	const ledgerSize, pageSize, stories = 50_000, 50, 40
	env := bustest.Start(b)
	l, err := Open(ledgertest.Anyone(b), Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(ledgertest.Nine), Log: env.Log, Dir: b.TempDir()})
	require.NoError(b, err)
	bustest.Background(b, l.Run)
	spread := ledgerSize / pageSize
	for n := range pageSize {
		var records []event.Record
		for i := range stories {
			subject := func(incident string, n int) string {
				return fmt.Sprintf("incident.accepted.grid-east.%s%d.r%d", incident, i, n)
			}
			records = append(records, event.RawRecord(subject("spread", n), ledgertest.Nine, "", ledgertest.Filler(2<<10)))
			if n == 0 {
				for k := range pageSize {
					records = append(records, event.RawRecord(subject("adjacent", k), ledgertest.Nine, "", ledgertest.Filler(2<<10)))
				}
			}
		}
		for _, s := range ledgertest.Traffic((spread-len(records))/5, spread, []event.Stored{{Sequence: uint64(n * spread)}}) {
			records = append(records, s.Record)
		}
		_, err := env.Bus.Commit(ledgertest.Anyone(b), records)
		require.NoError(b, err)
	}
	head, err := env.Bus.Head(ledgertest.Anyone(b))
	require.NoError(b, err)
	require.Eventually(b, func() bool {
		s, err := l.state(ledgertest.Anyone(b))
		return err == nil && s.Size == head && s.Indexed == head
	}, 2*time.Minute, 10*time.Millisecond)
	_, err = l.log.Audit(ledgertest.Anyone(b), api.AuditRequest{After: 1})
	require.NoError(b, err)
	require.Eventually(b, func() bool { _, checked := l.Certified(); return !checked.IsZero() }, 2*time.Minute, 10*time.Millisecond)
	b.Logf("%d records", head)

	story := func(incident string) func() {
		return func() {
			a, err := l.story(ledgertest.Anyone(b), api.ShowRequest{Operator: "grid-east", Incident: fmt.Sprint(incident, rand.IntN(stories))})
			require.NoError(b, err)
			require.Len(b, a.Entries, pageSize)
		}
	}
	for _, c := range []struct {
		name string
		ask  func()
	}{
		{"list", func() {
			a, err := l.escalations(ledgertest.Anyone(b), api.Query{Desk: "national-cyberspace", Cursor: fmt.Sprint(rand.Uint64N(head * 9 / 10)), Limit: pageSize})
			require.NoError(b, err)
			require.Len(b, a.Rows, pageSize)
		}},
		{"show-adjacent", story("adjacent")},
		{"show-spread", story("spread")},
		{"prove", func() {
			a, err := l.prove(ledgertest.Anyone(b), api.ProveRequest{Record: 1 + rand.Uint64N(head)})
			require.NoError(b, err)
			require.NotEmpty(b, a.Proof)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				c.ask()
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
