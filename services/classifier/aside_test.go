package classifier

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// A set-aside cause that is folded with a later one takes effect with it: a transfer with
// what its desk may read, and facts for every desk told, even if the later cause is
// quiet.
func TestHandle_ActsThatWereSetAside(t *testing.T) {
	b := newBench(t)
	b.deps.Rulebook = rulebook(t,
		"- id: cii-operator-to-public-security\n", "- id: cii-operator-to-public-security\n    items: [title, facts.outage]\n")
	h := b.handler()
	storeAct := func(a *event.DeskAct) event.Stored {
		r, err := event.NewRecord(event.ActRecordSubject(*a), a.At, "", a)
		require.NoError(t, err)
		return b.commit(r)
	}
	ask := func(id string, minutes int, item string) *event.DeskAct {
		a := act(event.KindAsked, id, "protection-energy", minutes)
		a.Items = []string{item}
		return a
	}
	b.handle(h, b.store(taken("initial", "r1", nine, onSite+","+large)))
	transfer := act(event.KindTransferred, "t", "sh-public-security", 10)
	transfer.To = "js-public-security"
	failing := storeAct(transfer)
	h.failed(failing)
	g := b.handle(h, storeAct(ask("q", 11, "cause")))
	i := slices.IndexFunc(g.Escalations, func(e event.Escalation) bool { return e.Desk == "js-public-security" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, event.ActTransfer, g.Escalations[i].Act)
	require.Equal(t, []string{"title", "facts.outage"}, g.Escalations[i].Items)

	failed := b.store(taken("progress", "r2", nine.Add(12*time.Minute), `"cause":"C"`))
	h.failed(failed)
	g = b.handle(h, storeAct(ask("r", 13, "impact")))
	require.Equal(t, []string{"cause"}, g.Cause.Changed)
	var told []string
	for _, e := range g.Escalations {
		require.Equal(t, event.ActUpdate, e.Act, e.Desk)
		told = append(told, e.Desk)
	}
	require.ElementsMatch(t, []string{"js-public-security", "protection-energy", "sh-public-security"}, told)
}
