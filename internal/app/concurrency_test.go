package app_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// reportTogether sends two reports from two connections at the same moment.
func reportTogether(t *testing.T, one, two *client.Client, a, b []byte) (ra, rb *event.Receipt) {
	t.Helper()
	var wg sync.WaitGroup
	gate := make(chan struct{})
	var errs [2]error
	for i, send := range []func() error{
		func() (err error) { ra, err = one.Report(t.Context(), at, a); return err },
		func() (err error) { rb, err = two.Report(t.Context(), at, b); return err },
	} {
		wg.Go(func() { <-gate; errs[i] = send() })
	}
	close(gate)
	wg.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	return ra, rb
}

// swing moves between the grades, so that desks get new duties now and then.
func swing(i int) string {
	return fmt.Sprintf(`"cause":"%d",%s`, i, []string{short, large, grave, short}[i%4])
}

// race has two connections report one incident concurrently, many times: with different
// reports, and with the same one.
func race(t *testing.T, rounds int, one, two *client.Client) {
	t.Helper()
	for i := range rounds {
		kind, place := "progress", ""
		if i == 0 {
			kind, place = "initial", onSite
		}
		a := cloudEvent(kind, at, inc, fmt.Sprint("a", i), place+swing(i))
		b := cloudEvent(kind, at, inc, fmt.Sprint("b", i), place+swing(i+1))
		if i%2 == 1 {
			b = a
		}
		ra, rb := reportTogether(t, one, two, a, b)
		if i%2 == 1 {
			require.ElementsMatch(t, []string{event.StatusAccepted, event.StatusDuplicate}, []string{ra.Status, rb.Status})
			require.Equal(t, ra.Record, rb.Record)
			require.Equal(t, ra.ReceivedAt, rb.ReceivedAt)
			continue
		}
		require.Equal(t, event.StatusAccepted, ra.Status)
		require.Equal(t, event.StatusAccepted, rb.Status)
		require.NotEqual(t, ra.Record, rb.Record)
	}
}

// checkRace requires one history, as if the reports had come one by one.
func checkRace(t *testing.T, rounds int, h *history) {
	t.Helper()
	revisions := h.graded[at+"/"+inc]
	require.Len(t, revisions, rounds+rounds/2)
	require.Len(t, h.accepted, rounds+rounds/2)
	for i, g := range revisions {
		require.Equal(t, i+1, g.Revision)
		require.Equal(t, g.Cause.Record, g.Through, "in the order of the ledger")
		require.Empty(t, g.Aside)
	}
	require.Equal(t, all4, desks(revisions[len(revisions)-1]))
	require.Empty(t, h.unhandled)
}

func TestReports_TwoConnectionsOneIncident(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	race(t, 60, w.dial(), w.dial())
	checkRace(t, 60, w.settled())
}

// Two whole instances work on one NATS: whichever writes a revision first, there is one
// history.
func TestTwoInstances_MakeOneHistory(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	other := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Unverified, c.HTTPListen = w.app.NATSAddr(), true, "" })
	race(t, 40, w.dial(), other.dial())
	h := w.settled()
	checkRace(t, 40, h)
	require.Len(t, other.query(api.Query{Operator: at}), len(h.escalated), "both answer the same")
}

// Two instances get the same poison and are stopped at the same time: it is given up
// once, and each does what the other leaves.
func TestTwoInstances_OneStops(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	other := startWorldIn(t, t.TempDir(), func(c *app.Config) { c.NATS, c.Unverified, c.HTTPListen = w.app.NATSAddr(), true, "" })
	poison := w.inject("incident.accepted.grid-east."+inc+".r0", "no JSON")
	w.report("initial", at, inc, "r1", onSite+swing(0))
	for i := range 60 {
		if i == 30 {
			other.shutdown()
		}
		w.report("progress", at, inc, fmt.Sprint("p", i), swing(i))
	}
	h := w.settled()
	require.Equal(t, 61, h.last(t, at, inc).Revision)
	require.Equal(t, []uint64{poison}, h.last(t, at, inc).Aside)
	requireReview(t, h, poison, "protection-energy", "classifier")
	require.Len(t, h.unhandled, 1)
}

// Many incidents, each with four concurrent reports, in no order.
func TestReports_ManyIncidentsConcurrently(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const incidents = 60
	var sends [][]byte
	for k := range 4 {
		for i := range incidents {
			name := fmt.Sprint("many-", (i*7+k*13)%incidents)
			if k == 0 {
				sends = append(sends, cloudEvent("initial", at, name, "r0", onSite+short))
				continue
			}
			sends = append(sends, cloudEvent("progress", at, name, fmt.Sprint("r", k), []string{"", short, large, grave}[k]))
		}
	}
	err := w.client.Reports(t.Context(), at, len(sends), func(yield func([]byte) error) error {
		for _, raw := range sends {
			if err := yield(raw); err != nil {
				return err
			}
		}
		return nil
	}, func(r *event.Receipt) error {
		require.Equal(t, event.StatusAccepted, r.Status)
		return nil
	})
	require.NoError(t, err)
	h := w.settled()
	for i := range incidents {
		revisions := h.graded[fmt.Sprintf("%s/many-%d", at, i)]
		require.Len(t, revisions, 4)
		require.GreaterOrEqual(t, revisions[3].Peak, revisions[3].Grade)
	}
}
