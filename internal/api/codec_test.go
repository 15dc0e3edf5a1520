package api

import (
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/event"
)

func TestJSON_KeepsEveryField(t *testing.T) {
	t.Parallel()
	coded := []any{
		DeskActAnswer{}, AcknowledgementAnswer{}, LogState{}, TilesRequest{}, TilesAnswer{}, RecordsRequest{}, RecordsAnswer{}, ProveRequest{}, ProveAnswer{},
		AuditRequest{}, AuditAnswer{}, RemoveRequest{}, Signing{}, ArchiveRequest{}, RemoveAnswer{}, StatsQuery{}, StatsRow{}, StatsAnswer{}, CertifyRequest{}, CertifyAnswer{},
		WatchRequest{}, WatchAnswer{}, OutcomeRequest{}, OutcomeAnswer{}, EscalationRow{}, Query{}, QueryAnswer{}, IncidentQuery{}, IncidentRow{}, Closing{}, IncidentAnswer{},
		Screen{}, DesksAnswer{}, ShowRequest{}, StoryEntry{}, ShowAnswer{},
	}
	codectest.Covers(t, ".", coded...)
	codectest.JSON(t, event.JSON, coded...)
}
