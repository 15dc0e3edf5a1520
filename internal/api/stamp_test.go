package api

import (
	"testing"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestAnswers_HaveMilliseconds(t *testing.T) {
	for nanos, want := range map[int]string{
		0: ".000Z", 5e8: ".500Z", 12e7: ".120Z", 123e6: ".123Z", 123456e3: ".123456Z", 1: ".000000001Z",
	} {
		at := time.Date(2026, 1, 2, 3, 4, 5, nanos, time.UTC)
		for _, v := range []any{EscalationRow{ReportedAt: at}, AcknowledgementAnswer{AcknowledgedAt: &at},
			DeskActAnswer{At: &at}, EscalationRow{OverdueAt: &at}} {
			b, err := json.Marshal(v)
			require.NoError(t, err)
			require.Contains(t, string(b), `"2026-01-02T03:04:05`+want+`"`)
		}
	}
}

func TestEscalationRow_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
		row := EscalationRow{Escalation: "d.o.i.1", DueAt: &at, ReportedAt: at, AcknowledgeBy: &at, AcknowledgedAt: &at, Duties: []event.Duty{{Duty: "x", DueAt: &at}}, Grade: event.Major, Peak: event.Major}
		b, err := json.Marshal(row)
		require.NoError(t, err)
		var back EscalationRow
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, row, back)
	})
}
