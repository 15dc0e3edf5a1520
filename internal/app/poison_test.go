package app_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// inject puts bytes straight into the ledger, behind the back of every service.
func (w *world) inject(subject, data string) uint64 {
	w.t.Helper()
	ack, err := w.js.Publish(w.t.Context(), subject, []byte(data))
	require.NoError(w.t, err)
	return ack.Sequence
}

// registerWith writes the example register with some of its text replaced,
// old and new by turns, and returns the file.
func registerWith(t *testing.T, replace ...string) string {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	text := string(raw)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	file := filepath.Join(t.TempDir(), "register.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// requireReview wants a record to lie before a desk as ungraded.
func requireReview(t *testing.T, h *history, record uint64, desk, service string) *event.Escalated {
	t.Helper()
	u := h.unhandled[record]
	require.NotNil(t, u)
	require.Equal(t, desk, u.Desk)
	require.Equal(t, service, u.Service)
	require.NotEmpty(t, u.Error)
	e := h.review(u)
	require.NotNil(t, e)
	require.Equal(t, event.Ungraded, e.Grade)
	require.Equal(t, event.EspeciallyGrave, e.CouldBe)
	require.Equal(t, event.ActReview, e.Act)
	require.Empty(t, e.Duties)
	require.True(t, e.AcknowledgeBy.Equal(e.ReportedAt.Add(30*time.Minute)), "the house's target")
	return e
}

func TestPoison_StopsNoOtherIncident(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	poison := w.inject("incident.accepted.grid-east.x.y", "no JSON")
	clinic := w.inject("incident.accepted.city-clinic.x.y", `{"operator":5}`)
	stranger := w.inject("incident.accepted.stranger.x.y", `[]`)
	graded := w.inject("incident.graded.grid-east.z.1", "no JSON either")
	w.report("initial", at, inc, "r1", onSite+large)

	h := w.settled()
	require.Equal(t, regional, desks(h.last(t, at, inc)), "what is behind goes on")
	e := requireReview(t, h, poison, "protection-energy", "classifier")
	require.Equal(t, fmt.Sprintf("protection-energy.grid-east.x.u%d", poison), e.ID)
	require.Equal(t, 3, h.unhandled[poison].Attempts, "tried again after growing pauses")
	requireReview(t, h, clinic, "js-cyberspace", "classifier")
	requireReview(t, h, stranger, "national-cyberspace", "classifier")
	// The router and the clocks both stumble over it; the person is asked once.
	requireReview(t, h, graded, "protection-energy", h.unhandled[graded].Service)

	// It is asked for, shown and acknowledged like any other.
	require.Len(t, w.query(api.Query{Desk: "protection-energy", Grade: "ungraded"}), 2)
	require.Equal(t, []string{"accepted", "unhandled", "escalated"}, w.story(at, "x"))
	a, err := w.client.Acknowledge(t.Context(), "protection-energy", e.ID, "duty-officer")
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, a.Status)
}

// Records whose subjects no service of ours writes still reach a person, and
// stop nothing.
func TestPoison_UnderAnUnknownSubject(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, subject := range []string{"incident.accepted.grid-east", "incident.accepted.grid-east.x", "incident.graded.a.b.c.d.e", "incident.unhandled.x"} {
		seq := w.inject(subject, "no JSON")
		w.report("initial", at, subject, "r1", onSite+large)
		require.Eventually(t, func() bool { w.read(); return w.past.unhandled[seq] != nil }, 30*time.Second, 5*time.Millisecond, subject)
		h := w.settled()
		require.Equal(t, "national-cyberspace", h.unhandled[seq].Desk)
	}
}

func TestPoison_KeepsTheNameOfItsIncident(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const name = "2026/18 故障"
	token := event.Token(name)
	seq := w.inject("incident.accepted.grid-east."+token+".r0", `{"incident":"2026/18 故障","receivedAt":"never"}`)
	w.report("initial", at, name, "r1", onSite+large)
	e := requireReview(t, w.settled(), seq, "protection-energy", "classifier")
	require.Contains(t, e.ID, token, "its escalation stands in the story of its incident")
	require.Contains(t, w.story(at, name), "unhandled")
	reviews := 0
	for _, r := range w.query(api.Query{Operator: at, Grade: "ungraded"}) {
		reviews++
		require.Equal(t, e.ID, r.Escalation)
	}
	require.Equal(t, 1, reviews)
	require.Len(t, w.story(at, name), 2+1+1+2+1, "a report graded, two desks told; a poison, given up, put before a desk")
}

// What leaves the register between receipt and grading is put before a person;
// a later report of the same incident is graded, with what was set aside.
func TestRegister_FacilityRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, func(c *app.Config) { c.Roles = []string{"intake"} })
	gone := w.report("initial", "metro-pay", inc, "r1", `"facilities":["clearing"],`+large)
	left := w.report("initial", at, inc, "r1", `"facilities":["office-portal"],"ownGrade":"major"`)
	w.shutdown()

	file := registerWith(t,
		"      - {id: office-portal, name: {zh: 办公门户, en: Office portal}, sector: energy, region: \"310000\"}\n", "",
		"  - id: metro-pay\n", "  - id: metro-pay-2\n")
	w = startWorldIn(t, dir, func(c *app.Config) { c.Rulebook = rules(t, "", file) })
	h := w.settled()
	e := requireReview(t, h, gone.Record, "national-cyberspace", "classifier")
	require.Contains(t, e.Unhandled.Error, "metro-pay")
	requireReview(t, h, left.Record, "protection-energy", "classifier")
	require.Empty(t, h.graded)

	w.report("progress", at, inc, "r2", onSite+large)
	g := w.settled().last(t, at, inc)
	require.Equal(t, 1, g.Revision)
	require.Empty(t, g.Aside, "what was given up is folded as soon as it can be: here the later report names another facility")
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, all4, desks(g))
}

// A record given up before any revision is still set aside by the first one
// that is made after a restart.
func TestAside_SurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWorldIn(t, dir, nil)
	poison := w.inject("incident.accepted.grid-east."+inc+".r0", "no JSON")
	w.settled()
	w.shutdown()
	w = startWorldIn(t, dir, nil)
	w.report("initial", at, inc, "r1", onSite+large)
	require.Equal(t, []uint64{poison}, w.settled().last(t, at, inc).Aside)
}
