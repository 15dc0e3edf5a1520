package desk

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

var nine = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

const (
	houses = `
acknowledge: PT30M
fallback: hall
operators:
  - {id: mill, name: {zh: 厂, en: Mill}, level: county, facilities: [{id: wheel, name: {zh: 轮, en: Wheel}, sector: water, region: "110101"}]}
desks:
  - {id: hall, name: {zh: 厅, en: Hall}, role: cyberspace, level: national, grades: true}
  - {id: gate, name: {zh: 门, en: Gate}, role: cyberspace, level: province, region: "110000"}
`
	told = "hall.mill.flood.1"
)

// house runs the endpoints of two desks, with one escalation to the hall.
func house(t *testing.T) (*bustest.Env, *clock.Manual) {
	t.Helper()
	env := bustest.Start(t)
	reg, err := register.Decode([]byte(houses))
	require.NoError(t, err)
	c := clock.NewManual(nine)
	r, err := event.NewRecord("incident.escalated."+told, nine, "", event.Escalated{ID: told, Desk: "hall"})
	require.NoError(t, err)
	_, err = env.Bus.Commit(t.Context(), []event.Record{r})
	require.NoError(t, err)
	bustest.Background(t, func(ctx context.Context) error {
		return Run(ctx, Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: c, Register: reg})
	})
	bustest.Answers(t, env, "desk.hall.outcome")
	return env, c
}

func ask[T any](t *testing.T, env *bustest.Env, subject, question string) (answer T) {
	t.Helper()
	m, err := env.Conn.Request(subject, []byte(question), time.Minute)
	require.NoError(t, err)
	require.Empty(t, m.Header.Get("Nats-Service-Error-Code"))
	require.NoError(t, json.Unmarshal(m.Data, &answer))
	return answer
}

func TestAcknowledge_FirstOneCounts(t *testing.T) {
	env, c := house(t)
	ack := func(post string) api.AcknowledgementAnswer {
		return ask[api.AcknowledgementAnswer](t, env, "desk.hall.acknowledge", `{"escalation":"`+told+`","officer":"`+post+`","at":"1999-01-01T00:00:00Z"}`)
	}
	first := ack("duty-officer")
	require.Equal(t, event.StatusAccepted, first.Status)
	require.True(t, first.AcknowledgedAt.Equal(nine), "our clock, not the sender's")
	stored, err := env.Bus.Get(t.Context(), first.Record)
	require.NoError(t, err)
	require.Equal(t, "incident.acknowledged."+told, stored.Subject)
	c.Advance(time.Minute)
	again := ack("duty-officer")
	require.Equal(t, event.StatusDuplicate, again.Status)
	other := ack("deputy")
	require.Equal(t, event.StatusConflict, other.Status)
	for _, a := range []api.AcknowledgementAnswer{again, other} {
		require.Equal(t, first.Record, a.Record)
		require.Equal(t, "duty-officer", a.AcknowledgedBy)
		require.True(t, a.AcknowledgedAt.Equal(nine))
	}
}

func TestAcknowledge_Concurrent(t *testing.T) {
	env, _ := house(t)
	var wg sync.WaitGroup
	answers := make([]api.AcknowledgementAnswer, 40)
	for i := range answers {
		wg.Go(func() {
			answers[i] = ask[api.AcknowledgementAnswer](t, env, "desk.hall.acknowledge", `{"escalation":"`+told+`","officer":"post-`+string(rune('a'+i%4))+`"}`)
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, a := range answers {
		count[a.Status]++
		require.Equal(t, answers[0].AcknowledgedBy, a.AcknowledgedBy)
		require.Equal(t, answers[0].Record, a.Record)
	}
	require.Equal(t, map[string]int{event.StatusAccepted: 1, event.StatusDuplicate: 9, event.StatusConflict: 30}, count)
}

func TestAcknowledge_Refused(t *testing.T) {
	env, _ := house(t)
	for _, row := range []struct{ name, desk, question, path string }{
		{"no JSON", "hall", `x`, "$"},
		{"no escalation", "hall", `{"officer":"a"}`, "$.escalation"},
		{"one that was never made", "hall", `{"escalation":"hall.mill.flood.2","officer":"a"}`, "$.escalation"},
		{"a pattern", "hall", `{"escalation":"hall.mill.flood.*","officer":"a"}`, "$.escalation"},
		{"a subject", "hall", `{"escalation":"incident.escalated.hall.mill.flood.1","officer":"a"}`, "$.escalation"},
		{"another desk's", "gate", `{"escalation":"hall.mill.flood.1","officer":"a"}`, "$.escalation"},
		{"nobody", "hall", `{"escalation":"hall.mill.flood.1"}`, "$.officer"},
		{"blank", "hall", `{"escalation":"hall.mill.flood.1","officer":" \t"}`, "$.officer"},
		{"unprintable", "hall", `{"escalation":"hall.mill.flood.1","officer":"a\u0007"}`, "$.officer"},
		{"endless", "hall", `{"escalation":"hall.mill.flood.1","officer":"` + strings.Repeat("岗", maxOfficer+1) + `"}`, "$.officer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := ask[api.AcknowledgementAnswer](t, env, "desk."+row.desk+".acknowledge", row.question)
			require.Equal(t, event.StatusRejected, a.Status)
			require.Len(t, a.Errors, 1)
			require.Equal(t, row.path, a.Errors[0].Path)
		})
	}
	longest := ask[api.AcknowledgementAnswer](t, env, "desk.hall.acknowledge", `{"escalation":"`+told+`","officer":"`+strings.Repeat("岗", maxOfficer)+`"}`)
	require.Equal(t, event.StatusAccepted, longest.Status)
}

func TestWatch_ConsumerForEachScreen(t *testing.T) {
	env, _ := house(t)
	open := func(desk, client string) api.WatchAnswer {
		return ask[api.WatchAnswer](t, env, "desk."+desk+".watch", `{"client":"`+client+`","from":1}`)
	}
	first := open("hall", "a")
	require.Empty(t, first.Errors)
	require.Equal(t, event.StreamLedger, first.Stream)
	require.Equal(t, first, open("hall", "a"), "the same screen, the same consumer")
	seen := map[string]bool{first.Consumer: true}
	for _, w := range []struct{ desk, client string }{{"gate", "a"}, {"hall", "b"}, {"hall", "屏 1"}, {"hall", "屏 2"}} {
		a := open(w.desk, w.client)
		require.Empty(t, a.Errors)
		require.False(t, seen[a.Consumer], "%v", w)
		seen[a.Consumer] = true
	}
	require.Equal(t, "$.desk", open("nowhere", "a").Errors[0].Path)
	require.Equal(t, "$.client", open("hall", "").Errors[0].Path)
	require.Equal(t, "$", ask[api.WatchAnswer](t, env, "desk.hall.watch", "x").Errors[0].Path)
}

// The names of a desk and a screen cannot be confused: "a_b" watching as "c" is not "a"
// watching as "b_c".
func TestWatch_DesksHaveSeparateConsumers(t *testing.T) {
	env := bustest.Start(t)
	one, err := env.Bus.Consumer(t.Context(), "a_b", "c", 1)
	require.NoError(t, err)
	two, err := env.Bus.Consumer(t.Context(), "a", "b_c", 1)
	require.NoError(t, err)
	require.NotEqual(t, one, two)
}
