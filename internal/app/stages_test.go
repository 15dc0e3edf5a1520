package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
)

// aBank is a register of one financial entity in the European Union.
const aBank = `
acknowledge: PT30M
fallback: supervisor
operators:
  - {id: bank, level: national, facilities: [{id: core, sector: finance, region: DE-HE, jurisdiction: EU, zone: Europe/Berlin}]}
desks:
  - {id: supervisor, role: sector-regulator, level: national, sector: finance, jurisdiction: EU}
`

// The stages of a DORA case through the whole product: its desk is told, the operator is
// reminded of the next stage, and a report of that stage discharges it.
func TestStages_OfAnIncidentAbroad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "register.yaml")
	require.NoError(t, os.WriteFile(file, []byte(aBank), 0o600))
	w := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.Rulebook = rules(t, "", file) })
	const intermediate, final = "eu-dora.intermediate-report", "eu-dora.final-report"
	owed := func(id string) *event.Obligation {
		w.settled()
		list := w.incident("bank", inc).Owed
		i := slices.IndexFunc(list, func(o event.Obligation) bool { return o.ID == id })
		if i < 0 {
			return nil
		}
		return &list[i]
	}

	r := w.send("bank", cloudEvent("initial", "bank", inc, "r0", `"facilities":["core"],"discoveredAt":"2026-03-02T08:30:00+08:00","stages":["intermediat"],"facts":{"named":{"clients":"many","client":5}}`))
	require.Equal(t, event.StatusRejected, r.Status)
	var paths []string
	for _, e := range r.Errors {
		paths = append(paths, e.Path)
	}
	require.Equal(t, []string{"$.data.facts.named.client", "$.data.facts.named.clients", "$.data.stages[0]"}, paths)

	w.report("initial", "bank", inc, "r1", `"facilities":["core"],"discoveredAt":"2026-03-02T08:30:00+08:00","facts":{"named":{"critical-services":true,"malicious-access":true}}`)
	w.settled()
	require.Equal(t, []string{"supervisor"}, w.incident("bank", inc).Desks)
	o := owed(intermediate)
	require.NotNil(t, o)
	require.True(t, o.DueAt.Equal(nine.Add(72*time.Hour)), "%v", o.DueAt)
	require.Nil(t, owed(final).DueAt)

	w.clock.Advance(36 * time.Hour)
	w.fireUntil("a reminder of the intermediate report", func(h *history) bool {
		return slices.ContainsFunc(h.reminded, func(r *event.Reminder) bool { return r.Obligation == intermediate && !r.Passed })
	})
	w.report("progress", "bank", inc, "r2", `"stages":["intermediate"],"cause":"C"`)
	require.Nil(t, owed(intermediate))
	require.Equal(t, "2026-04-03T22:00:00Z", owed(final).DueAt.UTC().Format(time.RFC3339), "the end of the 3rd of April in Berlin")
}
