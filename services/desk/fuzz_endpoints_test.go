package desk

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
)

// FuzzEndpoints sends a desk's endpoints arbitrary input. There is always an answer, it can
// be encoded, and a refusal gives a reason.
func FuzzEndpoints(f *testing.F) {
	env := bustest.Start(f)
	reg, err := register.Decode([]byte(houses))
	require.NoError(f, err)
	r, err := event.NewRecord("incident.escalated."+told, nine, "", event.Escalated{ID: told, Desk: "hall"})
	require.NoError(f, err)
	_, err = env.Bus.Commit(f.Context(), []event.Record{r})
	require.NoError(f, err)
	s := service{deps: Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: clock.NewManual(nine), Register: reg}, actLocks: newActLocks()}
	endpoints := make([]endpoint.Endpoint, 4)
	for _, e := range s.endpoints() {
		endpoints[slices.Index([]string{"acknowledge", "outcome", "watch", "act"}, e.Name)] = e // as the corpus numbers them
	}
	for i, seeds := range [][]string{
		{`{"escalation":"` + told + `","officer":"duty-officer"}`, `{"escalation":"hall.*.>.1","officer":"p"}`, `{"escalation":"hall.=.=x.1","officer":"\u0000"}`, `{"escalation":"hall...","officer":" "}`},
		{`{"escalation":"` + told + `"}`, `{"escalation":"gate.mill.flood.1"}`, `{"escalation":7}`},
		{`{"client":"wall","from":1}`, `{"client":"*.>","from":18446744073709551615}`, `{"client":"\u0000"}`},
		{say(event.KindClosed, nil), say(event.KindAsked, map[string]any{"id": "*"}), say(event.KindConfirmed, map[string]any{"to": nil})},
	} {
		for _, seed := range append(seeds, "", "null", "[]", "{") {
			f.Add(uint8(i), "hall", []byte(seed))
		}
	}
	f.Add(uint8(2), "=", []byte(`{"client":"x"}`))
	f.Fuzz(func(t *testing.T, which uint8, desk string, data []byte) {
		if desk == "" || strings.ContainsAny(desk, ".*> \t\r\n") {
			return // no subject has such a token
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		d := endpoints[int(which)%len(endpoints)]
		answer, err := d.Answer(ctx, endpoint.Request{Subject: "desk." + desk + "." + d.Name, Data: data, Reply: "_INBOX.x"})
		if err != nil {
			t.Fatalf("%s: %q is not answered: %v", d.Name, data, err)
		}
		if _, err := json.Marshal(answer); err != nil {
			t.Fatalf("%s: the answer to %q cannot be written: %v", d.Name, data, err)
		}
	})
}
