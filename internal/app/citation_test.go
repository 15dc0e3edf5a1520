package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	articleEN = "Measures for Reporting Cybersecurity Incidents (2025), art. 4 ¶2"
	articleZH = "《国家网络安全事件报告管理办法》第四条第二款"
)

// Every answer has the citations of the packs in both languages; the records, which
// commit to the packs by their hashes, have them in one.
func TestCitations_AreTranslatedWhenShown(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	receipt := w.send(at, cloudEvent("initial", at, inc, "r1", onSite+`"discoveredAt":"2026-03-02T06:00:00+08:00",`+large))
	require.Len(t, receipt.Late, 1)
	require.Equal(t, articleEN, receipt.Late[0].Citation)
	require.Equal(t, articleZH, receipt.Late[0].CitationZH)
	w.settled()

	rows := w.query(api.Query{Desk: duty})
	require.Len(t, rows, 1)
	requireTranslated(t, rows[0].Duties)
	var owed []event.Obligation
	_, _, err := w.client.Incidents(t.Context(), api.IncidentQuery{Owed: true}, 0, func(r api.IncidentRow) error {
		owed = append(owed, r.Owed...)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, owed)
	for _, o := range owed {
		require.Contains(t, o.CitationZH, "《国家网络安全事件报告管理办法》第", o.Citation)
	}
	err = w.client.Watch(t.Context(), duty, "hall", 1, w.clock.Now, func(e *event.Escalated, row api.EscalationRow) error {
		requireTranslated(t, row.Duties)
		requireTranslated(t, e.Duties)
		return nil
	})
	require.NoError(t, err)

	stored := map[string]string{}
	err = w.client.Show(t.Context(), at, inc, func(e api.StoryEntry) error {
		stored[e.Type] = string(e.Body)
		return nil
	})
	require.NoError(t, err)
	for _, kind := range []string{event.KindGraded, event.KindEscalated} {
		require.Contains(t, stored[kind], articleEN, kind)
		require.NotContains(t, stored[kind], "citationZh", kind)
	}
}

func requireTranslated(t *testing.T, duties []event.Duty) {
	t.Helper()
	require.NotEmpty(t, duties)
	for _, d := range duties {
		require.Equal(t, articleEN, d.Citation)
		require.Equal(t, articleZH, d.CitationZH)
	}
}

func TestGrading_CitesInBothLanguages(t *testing.T) {
	t.Parallel()
	rb, err := app.LoadRules("", "")
	require.NoError(t, err)
	g, err := app.NewGrader(rb, clockTime(t, "09:00")).Grade(at, cloudEvent("initial", at, inc, "r1", onSite+large))
	require.NoError(t, err)
	requireTranslated(t, g.Duties)
	raw, err := json.Marshal(g)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"citationZh":"《国家网络安全事件报告管理办法》附件《网络安全事件分级指南》第（三）部分判别指标第2项"`)
	require.NotEmpty(t, g.Possible)
	require.Equal(t, len(g.Hits)+len(g.Duties)+len(g.Possible)+len(g.Owed), strings.Count(string(raw), `"citationZh"`))
}
