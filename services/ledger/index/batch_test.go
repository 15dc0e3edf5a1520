package index

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// For any records in any batches, an index built in batches equals one built at once, and
// the revision with the highest number is current.
func TestBatchesMakeNoDifference(t *testing.T) {
	top := t.TempDir()
	n := 0
	build := func(t *rapid.T, records []event.Stored, size func() int) []string {
		n++
		dir := filepath.Join(top, fmt.Sprint(n))
		x, err := Open(context.Background(), dir)
		require.NoError(t, err)
		defer x.Close() //nolint:errcheck // a test's
		for len(records) > 0 {
			k := min(size(), len(records))
			_, err := x.apply(context.Background(), records[:k])
			require.NoError(t, err)
			records = records[k:]
		}
		return dumpOf(t, x)
	}
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(anyRecord), 1, 40).Draw(t, "records")
		stored := make([]event.Stored, len(records))
		last := map[string]int{}
		for i, r := range records {
			stored[i] = event.Stored{Record: r, Sequence: uint64(i + 1), StoredAt: ledgertest.Nine}
			if a := event.ParseSubject(r.Subject); a.Kind == event.KindGraded && string(r.Data) != "{" {
				var revision int
				_, err := fmt.Sscan(a.Last, &revision)
				require.NoError(t, err)
				last[a.Incident] = max(last[a.Incident], revision)
			}
		}
		whole := build(t, stored, func() int { return len(stored) })
		require.Equal(t, whole, build(t, stored, func() int { return rapid.IntRange(1, 9).Draw(t, "batch") }))
		for incident, revision := range last {
			require.Regexp(t, fmt.Sprintf(`incidents\[\d+ grid-east %s \d+ %d\]`, incident, revision), strings.Join(whole, "\n"))
		}
	})
}

func anyRecord(t *rapid.T) event.Record {
	desk, incident := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "desk"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "incident")
	number := rapid.IntRange(1, 4).Draw(t, "number")
	at := ledgertest.Nine.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Hour)
	id := event.EscalationID(desk, "grid-east", incident, fmt.Sprint(number))
	var r event.Record
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1:
		r = ledgertest.Graded(incident, number, rapid.SampledFrom([]func(*event.Graded){nil, ledgertest.Owing, ledgertest.Withdrawn}).Draw(t, "change"))
	case 2, 3:
		act := rapid.SampledFrom([]event.Act{event.ActReport, event.ActUpdate, event.ActNotice, event.ActReview}).Draw(t, "act")
		e := event.Escalated{ID: id, Desk: desk, Operator: "grid-east", Act: act, ReportedAt: at, AcknowledgeBy: ledgertest.In(time.Hour)}
		e.Grade = rapid.SampledFrom([]event.Grade{event.Ungraded, event.Major}).Draw(t, "grade")
		e.Report = jsontext.Value(rapid.SampledFrom([]string{`{"title":"泵房故障"}`, `{"title":"Pump 故"}`, `{}`}).Draw(t, "report"))
		e.Facilities = rapid.SampledFrom([][]event.Facility{nil, {{Region: "310000", Sector: "energy"}}, {{Region: "650100", Sector: "water"}, {Region: "650000", Sector: "energy"}}}).Draw(t, "facilities")
		e.Duties = rapid.SampledFrom([][]event.Duty{nil, {{Statute: "s1"}}, {{Statute: "s1", DueAt: ledgertest.In(0)}, {Statute: "s2"}}}).Draw(t, "duties")
		e.Late = rapid.Bool().Draw(t, "late")
		if rapid.IntRange(0, 4).Draw(t, "untargeted") == 0 {
			e.AcknowledgeBy = nil
		}
		r = ledgertest.Must(event.NewRecord("incident.escalated."+id, ledgertest.Nine, "", e))
	case 4:
		r = ledgertest.Must(event.NewRecord("incident.acknowledged."+id, at, "", event.Acknowledgement{Officer: "duty-officer", At: at}))
	case 5:
		r = ledgertest.Must(event.NewRecord(event.OverdueSubject(id), at, "", event.Overdue{At: at}))
	case 6:
		r = ledgertest.ClosedBy(desk, incident, fmt.Sprint(number))
	default:
		r = ledgertest.Must(event.NewRecord(event.AwaySubject(desk, at), at, "", event.Away{Desk: desk}))
	}
	if rapid.IntRange(0, 9).Draw(t, "readable") == 0 {
		r.Data = []byte("{")
	}
	return r
}
