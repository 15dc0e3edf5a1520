package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestObligation_Stages(t *testing.T) {
	due := time.Date(2027, 1, 4, 4, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		o    event.Obligation
		want string
	}{
		{event.Obligation{Kind: event.OwesReport, Report: "intermediate", Within: "PT72H", Clock: "stage/initial-notification"}, "intermediate report  72 hours after initial-notification"},
		{event.Obligation{Kind: event.OwesReport, Report: "written", Within: "PT84H", Clock: "oral-notice"}, "written  84 hours after the oral notice"},
		{event.Obligation{Kind: event.OwesReport, Report: "final", OrReports: []string{"progress"}, DueAt: &due, CalendarEnds: "2026-12-31"}, "final summary / progress report  by 2027-01-04 12:00:00.000 +08:00 (its calendar ends on 2026-12-31: later holidays are not known)"},
	} {
		p := Printer{Lang: "en"}
		require.Contains(t, p.Obligation(row.o), row.want)
	}
}
