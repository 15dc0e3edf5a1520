package event

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// TestStateIsReadAsItWasWritten draws facts of any origin and time.
func TestStateIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stamp := func() Field {
			return Field{At: time.Unix(rapid.Int64Range(1, 3).Draw(t, "at"), 0).UTC(), Record: rapid.Uint64Range(1, 3).Draw(t, "record")}
		}
		s := State{Fields: map[string]Field{}, Archived: rapid.Bool().Draw(t, "archived")}
		if rapid.Bool().Draw(t, "reported") {
			s.Reported = stamp()
			s.Reported.Value = json.RawMessage("null")
		}
		for _, path := range rapid.SliceOf(rapid.StringMatching(`[a-z."\\ü]{1,4}`)).Draw(t, "paths") {
			f := stamp()
			f.Value = json.RawMessage(rapid.SampledFrom([]string{`null`, `1`, `"<&>"`, `{"a":[]}`}).Draw(t, "value"))
			s.Fields[path] = f
		}
		raw, err := json.Marshal(s)
		require.NoError(t, err)
		var back State
		require.NoError(t, json.Unmarshal(raw, &back))
		// What the encoder escapes is the same text.
		for path, f := range back.Fields {
			require.JSONEq(t, string(s.Fields[path].Value), string(f.Value))
			f.Value = s.Fields[path].Value
			back.Fields[path] = f
		}
		require.Equal(t, s, back)
	})
}

// TestStateWithEveryStamp reads the form that older records have.
func TestStateWithEveryStamp(t *testing.T) {
	t.Parallel()
	var s State
	require.NoError(t, json.Unmarshal([]byte(`{"fields":{"title":{"value":"t","at":"2026-01-02T03:04:05Z","record":7}},"reported":{"value":null,"at":"2026-01-02T03:04:06Z","record":9}}`), &s))
	require.EqualValues(t, 7, s.Fields["title"].Record)
	require.Equal(t, 5, s.Fields["title"].At.Second())
}

// TestBodiesAreRenderedAsTheyAreEncoded compares with encoding/json, except for what the
// encoder escapes.
func TestBodiesAreRenderedAsTheyAreEncoded(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for name, body := range map[string]renderer{
		"report": &Accepted{
			Operator: "o", Incident: "<i>", SentAt: &at, ReceivedAt: at, Warnings: []fault.Detail{{Path: "$", Message: "m"}},
			Event: json.RawMessage("{ \"id\" : \"a  b\\\"\",\n \"data\": [1, {}]\t}"),
		},
		"empty report": &Accepted{Event: json.RawMessage("null")},
		"graded": &Graded{
			Operator: "o", Incident: "i", At: at, Duties: []Duty{{DueAt: &at}},
			Assessment: Assessment{Grade: Major, Hits: []Hit{}},
			State: State{
				Fields:   map[string]Field{"title": {Value: json.RawMessage(`"t"`), At: at, Record: 3}, "kind": {Value: json.RawMessage(`"k"`), At: at, Record: 2}},
				Reported: Field{At: at, Record: 3}, Live: true,
			},
			Rules: Rules{Packs: map[string]string{"p": "h"}, Register: "r"},
		},
		"receipt": Receipt{
			Status: StatusAccepted, Operator: "o", Incident: "<i>", Report: "号\n", Source: "s", Type: "t", Record: 7, Entry: &evidence.Hash{1}, Digest: "d",
			ReceivedAt: &at, Warnings: []fault.Detail{{Path: "$", Message: "m"}}, Late: []Lateness{{DueAt: at}}, Exercise: true, Durability: "unverified",
			Signed: &evidence.SignedReceipt{Format: "tocsin/receipt/2", Nonce: []byte{5, 6}, Key: "K", Signature: []byte{1, 2}, Index: 1, Size: 2, Path: evidence.Hashes{{3}}, Certificate: "a\nb\n"},
		},
		"escalated": Escalated{
			ID: "d.o.i.1", Desk: "d", Operator: "o", Incident: "<i>", Revision: 1, About: AboutIncident, Grade: Major, CouldBe: EspeciallyGrave, Peak: Major,
			Own: &OwnGrade{Grade: Major}, Next: &Next{At: at, Grade: EspeciallyGrave}, Change: Change{From: Ungraded, To: Major, Kind: ChangeFirst, Gained: []string{"a/b"}},
			Withdrawal: &Withdrawal{Reason: "r"}, From: "o", Act: ActReport, Duties: []Duty{{Desk: "d", DueAt: &at}}, Standing: []Duty{{}}, DueAt: &at, ReportedAt: at,
			Late: true, AcknowledgeBy: &at, Exercise: true, Imported: true, Designated: true, Facilities: []Facility{{ID: "f"}}, Hits: []Hit{{Statute: "s"}},
			CouldBeIf: []Missing{{EspeciallyGrave, []string{"facts.directLoss"}}}, Report: json.RawMessage(`{ "title": "a  b" }`), Owed: []Obligation{{ID: "x"}},
			Held: []Held{{Desk: "d"}}, Determined: &Determination{Desk: "d"}, Transfer: &Transfer{}, Notice: &Notice{}, Unhandled: &Unhandled{},
			Cause: Cause{Record: 3, Type: "t", Changed: []string{"title"}, At: at}, Rules: Rules{Packs: map[string]string{"p": "h"}, Register: "r"},
		},
		"bare escalation": Escalated{ReportedAt: at},
		"bare receipt":    Receipt{Status: StatusRejected, Errors: []fault.Detail{{Path: "$.id"}}},
		"one of a single": Receipt{Signed: &evidence.SignedReceipt{Signature: []byte{}, Size: 1}},
	} {
		rendered, err := body.render()
		require.NoError(t, err, name)
		encoded, err := json.Marshal(body)
		require.NoError(t, err, name)
		require.JSONEq(t, string(encoded), string(rendered), name)
		c, err := Compact(rendered)
		require.NoError(t, err)
		require.Equal(t, string(rendered), string(c), fmt.Sprintf("%s is compact", name))
	}
}

// TestATextIsQuotedAsItIsEncoded draws any text.
func TestATextIsQuotedAsItIsEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\"\\\n\r\t\x00\x1f\x7f<&")))).Draw(t, "text")
		text := string(raw)
		if rapid.Bool().Draw(t, "valid") {
			text = rapid.String().Draw(t, "runes")
		}
		encoded, err := json.Marshal(text)
		require.NoError(t, err)
		require.JSONEq(t, string(encoded), string(appendQuoted(nil, text)))
	})
}

// TestPartsAreRenderedAsTheyAreEncoded fills each part completely, and leaves each empty.
func TestPartsAreRenderedAsTheyAreEncoded(t *testing.T) {
	t.Parallel()
	at, whole := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, Beijing)
	within := Duration(90 * time.Minute)
	for _, p := range []part{
		&Duty{
			Statute: "s", Duty: "d", From: "f", Desk: "k", Act: ActForward, Facilities: []string{"a", "b"}, DueAt: &at, StrictDueAt: &whole, LateBy: &within,
			ToldAt: &at, Items: []string{"title"}, Citation: "art. 4 ¶4", Quote: "报告，“最迟”<\"\\\n\u2028\xff>", Confidence: ConfidenceText,
			OnBehalf: &OnBehalf{ActedBy: "t", Authority: "a", Verified: true, Officer: "o"},
		},
		&Duty{Items: []string{}, Facilities: []string{}, OnBehalf: &OnBehalf{}}, &Duty{},
		&Hit{Statute: "s", Criterion: "c", Grade: Major, Citation: "c", Quote: "影响", Confidence: ConfidenceUnverified}, &Hit{},
		&Escalation{
			Desk: "d", From: "f", Act: ActReport, Duties: []Duty{{Desk: "d"}}, Standing: []Duty{{}}, Items: []string{"x"}, Held: []Held{{Since: at}},
			Transfer: &Transfer{Record: 3}, AcknowledgeWithin: &within, AcknowledgeDefault: &within, Designated: true,
		},
		&Escalation{Duties: []Duty{}, Standing: []Duty{}, Items: []string{}}, &Escalation{},
		&Told{Desk: "d", Since: 2, Duties: []string{"s/d/o/f"}, Items: []string{"x"}, By: "b"}, &Told{Since: -1},
		&Facility{ID: "i", Region: "r", Sector: "s"},
		&Obligation{
			ID: "i", Kind: OwesReport, Items: []string{"x"}, Report: "final", Listed: at, Since: &whole, DueAt: &at, Remind: []time.Time{at}, Statute: "s", Rule: "r",
			Within: "P30D", Clock: "handled", Citation: "c", Quote: "处置总结报告", Confidence: ConfidenceSecondary, Desk: "d", Officer: "o", Reason: "r",
		},
		&Obligation{Items: []string{}, Remind: []time.Time{}},
	} {
		o := newObject(0)
		p.render(o)
		rendered, err := o.done()
		require.NoError(t, err)
		encoded, err := json.Marshal(p)
		require.NoError(t, err)
		require.JSONEq(t, string(encoded), string(rendered))
	}
}

// TestReportsAreReadAsTheyWereWritten compares with encoding/json.
func TestReportsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.StringMatching(`[a-z<"\\\n号]{0,5}`).Draw(t, name) }
		at := time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "at"), rapid.Int64Range(0, 999).Draw(t, "nano")).UTC()
		a := &Accepted{
			Operator: text("operator"), Incident: text("incident"), Report: text("report"), Source: text("source"), Type: text("type"),
			ReceivedAt: at, Digest: text("digest"), Event: json.RawMessage(`{"id":"a b"}`),
		}
		if rapid.Bool().Draw(t, "sent") {
			a.SentAt = &at
		}
		if rapid.Bool().Draw(t, "late") {
			a.Late, a.Warnings = []Lateness{{DueAt: at}}, []fault.Detail{{Path: printable.Line(text("path"))}}
		}
		r, err := NewRecord("incident.accepted.a.b.c", at, "", a)
		require.NoError(t, err)
		got, err := Decode[Accepted](Stored{Record: r})
		require.NoError(t, err)
		require.Equal(t, a, got)
		type plain Accepted
		var other plain
		require.NoError(t, json.Unmarshal(r.Data, &other))
		require.Equal(t, plain(*a), other)
	})
}

// TestReceiptsAreReadAsTheyWereWritten compares with encoding/json.
func TestReceiptsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	check := func(t require.TestingT, raw []byte) {
		var got Receipt
		err := Parse(raw, &got)
		type plain Receipt
		var want plain
		if json.Unmarshal(raw, &want) != nil {
			require.Error(t, err, "%s", raw)
			return
		}
		require.NoError(t, err, "%s", raw)
		require.Equal(t, want, plain(got))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.StringMatching(`[a-z<"\\\n\t号]{0,5}`).Draw(t, name) }
		at := time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "at"), rapid.Int64Range(0, 999).Draw(t, "nano")).UTC()
		r := Receipt{
			Status: text("status"), Operator: text("operator"), Incident: text("incident"), Report: text("report"), Source: text("source"), Type: text("type"),
			Record: rapid.Uint64().Draw(t, "record"), Digest: text("digest"), Durability: text("durability"), Exercise: rapid.Bool().Draw(t, "exercise"),
		}
		if rapid.Bool().Draw(t, "taken") {
			r.ReceivedAt, r.Entry, r.Late = &at, &evidence.Hash{1, 2}, []Lateness{{DueAt: at}}
		} else {
			r.Errors, r.Warnings = []fault.Detail{{Path: printable.Line(text("path"))}}, []fault.Detail{{Message: printable.Line(text("message"))}}
		}
		if rapid.Bool().Draw(t, "signed") {
			r.Signed = &evidence.SignedReceipt{Format: text("format"), Nonce: []byte{8, 9}, Key: text("key"), Signature: []byte{1, 2, 3}, Index: 1, Size: 2, Path: evidence.Hashes{{3}, {4}}, Certificate: "a\nb\n\n— c \"d\"\n"}
		}
		raw, err := Render(r)
		require.NoError(t, err)
		var got Receipt
		require.NoError(t, Parse(raw, &got))
		require.Equal(t, r, got)
		check(t, raw)
	})
	for _, raw := range []string{
		`{}`, `null`, `{"status":null,"record":null,"entry":null,"receivedAt":null,"signed":null,"errors":null,"exercise":null}`, `{"other":1,"status":"\u53f7\t\/"}`,
		`{"status":7}`, `{"record":"7"}`, `{"record":-1}`, `{"record":1.5}`, `{"entry":"no hash"}`, `{"entry":7}`, `{"receivedAt":"today"}`, `{"receivedAt":7}`, `{"signed":[]}`,
		`{"signed":{"index":"1"}}`, `{"signed":{"path":7}}`, `{"signed":{"signature":"*"}}`, `[]`, ``, `{"status":"a"`, `{"status":"a\"}`, `{"exercise":1}`, `{"late":{}}`,
	} {
		check(t, []byte(raw))
	}
}

// FuzzBodies checks that parts of a record's body are found, or an error is returned.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[`, `{"held":}`, `{"owed":[}`, `{"look":1}`, `{"revision":"1"}`, `{"event":`, `{"operator":"\u00`,
		`{"operator":"o","incident":"i","revision":2,"look":"2026-01-02T03:04:05Z","owed":[{}],"escalations":[ ],"state":{"fields":{"a":{"value":1}},"reported":{"value":null,"at":"2026-01-02T03:04:05Z","record":9}}}`,
		`{"through":7,"aside":[3,5],"cause":{"record":7}}`, `{"aside":null,"through":7}`,
		`{"operator":"o","sentAt":"2026-01-02T03:04:05Z","receivedAt":"x","late":[],"event":{"data":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := Stored{Record: Record{Data: raw}}
		_, _ = Decode[Accepted](s)
		_, _ = Decode[Graded](s)
		_, _ = Compact(raw)
		var state State
		if json.Unmarshal(raw, &state) == nil {
			again, err := state.MarshalJSON()
			require.NoError(t, err)
			require.True(t, json.Valid(again), string(again))
		}
	})
}
