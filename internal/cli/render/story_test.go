package render

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// A story shows when an act was signed, where that is part of the signed text.
func TestStory_SaysWhenAnActWasSigned(t *testing.T) {
	t.Parallel()
	identities, err := nkeys.CreateOperator()
	require.NoError(t, err)
	desk, err := nkeys.CreateUser()
	require.NoError(t, err)
	operator, err := identities.PublicKey()
	require.NoError(t, err)
	user, err := desk.PublicKey()
	require.NoError(t, err)
	const subject, body = "incident.closed.hall.mill.flood.n1", `{"desk":"hall","officer":"duty-officer"`
	entry := func(format, more string) api.StoryEntry {
		s := evidence.SignedAct{Format: format, By: "desk/hall", Key: user, Sent: body + more + "}", Identities: operator}
		s.Certificate, err = identities.Sign(evidence.KeyText(s.By, s.Key))
		require.NoError(t, err)
		s.Signature, err = desk.Sign(evidence.ActText(format, subject, []byte(s.Sent)))
		require.NoError(t, err)
		signed, err := json.Marshal(s)
		require.NoError(t, err)
		return api.StoryEntry{Record: 7, Type: event.KindClosed, At: rendertest.Noon, Subject: subject, Body: jsontext.Value(body + `,"signed":` + string(signed) + "}")}
	}
	said := func(s api.StoryEntry) (zh, en string) {
		return lines(func(p *Printer) { require.NoError(t, p.Story(s)) })
	}
	zh, en := said(entry(evidence.ActFormat2, `,"log":"log.example.com/test","signedAt":"2026-03-01T03:59:58Z"`))
	require.Contains(t, zh, "[desk/hall 于 2026-03-01 11:59:58.000 +08:00 签名]")
	require.Contains(t, en, "[signed by desk/hall at 2026-03-01 11:59:58.000 +08:00]")
	_, en = said(entry(evidence.ActFormat1, ""))
	require.Contains(t, en, "[signed by desk/hall]\n")
	forged := entry(evidence.ActFormat2, `,"log":"log.example.com/test","signedAt":"2026-03-01T03:59:58Z"`)
	forged.Subject = "incident.closed.hall.mill.flood.n2"
	_, en = said(forged)
	require.Contains(t, en, "THE SIGNATURE DOES NOT HOLD")
	require.NotContains(t, en, "signed by desk/hall at")
}

// A desk's own act is shown as such, and not as awaiting its acknowledgement.
func TestRow_OfADesksOwnAct(t *testing.T) {
	t.Parallel()
	full := &event.Escalated{ID: "hall.mill.flood.2", Desk: "hall", Operator: "mill", Incident: "flood", Act: event.ActUpdate, From: "hall", ReportedAt: rendertest.Noon}
	r := api.RowOf(full, 9, nil, nil, rendertest.Noon)
	zh, en := lines(func(p *Printer) { p.Row(r) })
	require.Contains(t, zh, "[本席位自己的处置，无需签收]")
	require.Contains(t, en, "from hall → hall  mill/flood  [own act: nothing to acknowledge]")
	_, en = lines(func(p *Printer) {
		p.Row(api.RowOf(full, 9, &event.Acknowledgement{At: rendertest.Noon, Officer: "shift"}, nil, rendertest.Noon))
	})
	require.Contains(t, en, "[acknowledged] shift")
}

// A kind that is a line of the table is printed without a function of its own.
func TestStory_OfAnAddedKind(t *testing.T) {
	type inspection struct {
		Desk   string      `json:"desk"`
		At     *time.Time  `json:"at"`
		Grade  event.Grade `json:"grade"`
		Items  []string    `json:"items"`
		Record uint64      `json:"record"`
		Reason string      `json:"reason"`
	}
	before := event.Kinds
	t.Cleanup(func() { event.Kinds = before })
	event.Kinds = append(slices.Clone(before), event.Kind{
		Name: "inspected", Body: func() any { return new(inspection) }, Story: 16, Words: [2]string{"检查", "inspected"},
		Summary: []string{"desk", "at", "grade", "items", "record", "reason"},
	})
	printed := func(body string) (zh, en string) {
		return lines(func(p *Printer) {
			require.NoError(t, p.Story(api.StoryEntry{Record: 7, Type: "inspected", At: rendertest.Noon, Subject: "incident.inspected.mill.flood.1", Body: jsontext.Value(body)}))
		})
	}
	zh, en := printed(`{"desk":"hall","at":"2026-03-01T04:00:00Z","grade":"major","items":["a","b"],"record":5,"reason":"x\ny"}`)
	require.Contains(t, zh, "  检查  hall  2026-03-01 12:00:00.000 +08:00  重大  a, b  5: x")
	require.Contains(t, en, "  inspected  hall  2026-03-01 12:00:00.000 +08:00  major  a, b  5: x")
	require.NotContains(t, en, "x\ny", "a line stays a line")
	_, en = printed(`{"desk":"hall","record":5}`)
	require.Contains(t, en, "  inspected  hall  5\n", "what is empty is not printed")
}
