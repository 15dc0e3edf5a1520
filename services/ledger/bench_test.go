package ledger

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// BenchmarkApply indexes the records that follow from reports: each is accepted, graded,
// escalated to two desks and acknowledged by one, in bodies of some 2 to 6 KiB. A batch
// is the number of records waiting at once: many while an index is built, few otherwise.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 20, 1000} {
		b.Run(fmt.Sprint("batch-", size), func(b *testing.B) {
			x, err := openIndex(anyone(b), b.TempDir())
			require.NoError(b, err)
			defer x.close() //nolint:errcheck // a benchmark's
			const reports = 2000
			records := make([]event.Stored, 0, 5*reports)
			n := 0
			for b.Loop() {
				if n == 0 || n+size > len(records) {
					b.StopTimer()
					records, n = traffic(reports, cap(records), records), 0
					b.StartTimer()
				}
				unreadable, err := x.apply(anyone(b), records[n:n+size])
				require.NoError(b, err)
				require.Empty(b, unreadable)
				n += size
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// traffic makes the records of some reports, after those made before.
func traffic(reports, room int, before []event.Stored) []event.Stored {
	seq := uint64(0)
	if len(before) > 0 {
		seq = before[len(before)-1].Sequence
	}
	out := make([]event.Stored, 0, room)
	add := func(subject string, body any) {
		seq++
		at := nine.Add(time.Duration(seq) * time.Millisecond)
		out = append(out, event.Stored{Record: must(event.NewRecord(subject, at, "", body)), Sequence: seq, StoredAt: at})
	}
	for range reports {
		incident := fmt.Sprint("i", seq)
		add("incident.accepted.grid-east."+incident+".r1", event.Accepted{Operator: "grid-east", Incident: incident, Event: filler(2 << 10)})
		add(event.GradedSubject("grid-east", incident, 1), gradedBody(incident, seq))
		for _, desk := range []string{"protection-energy", "national-cyberspace"} {
			id := event.EscalationID(desk, "grid-east", incident, "1")
			by := nine.Add(time.Hour)
			add("incident.escalated."+id, event.Escalated{
				ID: id, Desk: desk, Operator: "grid-east", Incident: incident, Revision: 1, Grade: event.Major, Peak: event.Major,
				Duties: []event.Duty{someDuty, someDuty}, ReportedAt: nine, AcknowledgeBy: &by,
				Facilities: []event.Facility{{ID: "dispatch", Region: "310000", Sector: "energy"}}, Report: filler(1 << 10),
			})
		}
		id := event.EscalationID("protection-energy", "grid-east", incident, "1")
		add("incident.acknowledged."+id, event.Acknowledgement{Escalation: id, Officer: "duty-officer", At: nine})
	}
	return out
}

var someDuty = event.Duty{
	Statute: "cn-csirm-2025", Duty: "d", From: "grid-east", Desk: "protection-energy", Act: event.ActReport, Facilities: []string{"dispatch"},
	DueAt: in(time.Hour), Citation: "第四条", Quote: strings.Repeat("网络运营者应当及时报告。", 10), Confidence: event.ConfidenceText,
}

func gradedBody(incident string, through uint64) event.Graded {
	g := event.Graded{
		Operator: "grid-east", Incident: incident, Revision: 1, Through: through, At: nine, About: event.AboutIncident, Peak: event.Major,
		Assessment: event.Assessment{Grade: event.Major, CouldBe: event.EspeciallyGrave, Next: &event.Next{At: nine.Add(time.Hour), Grade: event.EspeciallyGrave}},
		Duties:     []event.Duty{someDuty, someDuty},
		Owed:       []event.Obligation{{ID: "a", Kind: event.OwesItems, Items: []string{"cause", "leads"}, DueAt: in(24 * time.Hour)}},
		State:      event.State{Fields: map[string]event.Field{}},
	}
	for _, desk := range []string{"protection-energy", "national-cyberspace"} {
		g.Told = append(g.Told, event.Told{Desk: desk, Since: 1})
		g.Escalations = append(g.Escalations, event.Escalation{Desk: desk, From: "grid-east", Act: event.ActReport, Duties: []event.Duty{someDuty}})
	}
	for _, path := range []string{"title", "impact", "measures", "facts.outage", "facts.peopleAffected", "place"} {
		g.State.Fields[path] = event.Field{Value: filler(200), At: nine, Record: 1}
	}
	return g
}

// filler returns JSON of some number of bytes.
func filler(bytes int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("x", bytes-2) + `"`)
}
