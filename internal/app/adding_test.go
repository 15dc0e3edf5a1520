package app_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// inspection is the body of a kind of record that only this test has.
type inspection struct {
	Record uint64    `json:"record"`
	At     time.Time `json:"at"`
}

// inspector is a service that only this test has: it answers an act with a record.
type inspector struct{}

func (inspector) Handle(_ context.Context, in event.Stored) ([]event.Record, error) {
	a := event.ParseSubject(in.Subject)
	r, err := event.NewRecord("incident.inspected."+a.Operator+"."+a.Incident+"."+a.Last, in.Time, "", inspection{in.Sequence, in.Time})
	return []event.Record{r}, err
}

func (inspector) Refused(event.Stored, event.Stored) bool { return false }
func (inspector) Failed(event.Stored)                     {}

// A kind of record and a desk's act are a line of the table of kinds, a service is a line
// of the table of roles: CONTRIBUTING.md says so. No other file names them.
func TestAddingAKindAnActAndAService(t *testing.T) {
	before := event.Kinds
	t.Cleanup(func() { event.Kinds = before })
	act := before[slices.IndexFunc(before, func(k event.Kind) bool { return k.Name == event.KindClosed })]
	act.Name, act.Story = "postponed", 16
	event.Kinds = append(slices.Clone(before), act, event.Kind{
		Name: "inspected", Subjects: []event.Form{{event.SlotOperator, event.SlotIncident, event.SlotLast}},
		Body: func() any { return new(inspection) }, Story: 17, Words: [2]string{"检查", "inspected"}, Summary: []string{"at"},
	})
	app.AddRole(t, "inspector", func(ctx context.Context, b *bus.Bus) error {
		return b.Follow(ctx, bus.Follower{
			Name: "inspector", Subjects: event.Filters(func(k event.Kind) bool { return k.Name == act.Name }), Handler: inspector{},
			Key: func(in event.Stored) string { return in.Subject },
			GiveUp: func(event.Stored, int, error) (event.Record, error) {
				return event.Record{}, errors.New("it cannot fail")
			},
		})
	})
	w := startWorld(t)
	const desk, operator, incident = "protection-energy", "grid-east", "inc-1"
	w.report("initial", operator, incident, "r1", `"facilities":["dispatch"],"facts":{"outage":[{"scope":"overall","duration":"PT2H"}]}`)
	w.await("the desk is told", func() bool { return slices.Contains(w.story(operator, incident), event.KindEscalated) })

	a := event.DeskAct{Kind: "postponed", ID: "p1", Desk: desk, Operator: operator, Incident: incident, Officer: "duty-officer", Reason: "tomorrow"}
	answer, err := w.client.Act(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, answer.Status, "%v", answer.Errors)
	require.Equal(t, event.StatusDuplicate, w.try(a).Status)
	a.ID, a.To = "p2", desk
	require.Equal(t, event.StatusRejected, w.try(a).Status, "the act has no member to")

	w.await("the service has answered, and both are in the story", func() bool { return slices.Contains(w.story(operator, incident), "inspected") })
	require.Contains(t, w.story(operator, incident), "postponed")
	health := w.awaitHealthy()
	require.True(t, slices.ContainsFunc(health.Services, func(s app.ServiceHealth) bool { return s.Service == "inspector" && s.Alive }))
}
