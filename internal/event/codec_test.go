package event

import (
	"bufio"
	stdjson "encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/codectest"
)

// coded are the types that have a JSON form.
var coded = []any{
	Accepted{}, Receipt{}, Rejected{}, RejectedSummary{}, Field{}, State{}, Stage{}, Asked{}, Confirmation{}, Transfer{}, Cause{}, Rules{}, Change{}, ToldDesk{},
	Facility{}, Graded{}, Reading{}, Withdrawal{}, Escalation{}, Escalated{}, Acknowledgement{}, Unhandled{}, RulesBody{},
	Elapsed{}, Overdue{}, Away{}, Obligation{}, PendingForward{}, Reminder{}, Determination{}, Notice{}, Lateness{}, Instrument{}, Outlook{},
	Hit{}, IncidentKind{}, Unknown{}, Next{}, StatuteGrade{}, OwnGrade{}, Assessment{}, Missing{}, Duty{}, PossibleDuty{}, OnBehalf{}, DeskAct{}, Damage{}, Removal{},
	Number{}, Span{}, Duration(0), Stamp{}, Grade(0),
	Report{}, Facts{}, Times{}, Outage{}, Site{}, SiteUnreachable{}, Defacement{}, Share{}, Money{}, Earlier{}, Place{}, Contact{}, Ransom{}, Attachment{}, AlsoReported{},
}

func TestJSON_KeepsEveryField(t *testing.T) {
	t.Parallel()
	codectest.Covers(t, ".", coded...)
	codectest.JSON(t, JSON, coded...)
}

func TestDecode_KeepsEveryFieldOfABody(t *testing.T) {
	t.Parallel()
	var want Graded
	codectest.Fill(&want)
	r, err := NewRecord("incident.graded.a.b.1", time.Unix(0, 0), "", &want)
	require.NoError(t, err)
	got, err := Decode[Graded](Stored{Record: r})
	require.NoError(t, err)
	require.Equal(t, &want, got)
}

// TestDecode_BodiesOfAnEarlierVersion has bodies as the version before wrote them, by an
// encoder of its own.
func TestDecode_BodiesOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/bodies-v1.jsonl")
	require.NoError(t, err)
	defer f.Close() // read only
	kinds := map[string]reflect.Type{
		"accepted": reflect.TypeFor[Accepted](), "graded": reflect.TypeFor[Graded](), "escalated": reflect.TypeFor[Escalated](),
		"acknowledged": reflect.TypeFor[Acknowledgement](), "elapsed": reflect.TypeFor[Elapsed](),
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var line struct {
			Kind string         `json:"kind"`
			Body jsontext.Value `json:"body"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		body := reflect.New(kinds[line.Kind]).Interface()
		require.NoError(t, json.Unmarshal(line.Body, body, JSON, json.RejectUnknownMembers(true)))
		again, err := json.Marshal(body, JSON)
		require.NoError(t, err)
		require.JSONEq(t, string(line.Body), string(again))
	}
	require.NoError(t, lines.Err())
	require.Equal(t, 7, n)
}

// A report is recorded with the spelling of its sender.
func TestJSON_KeepsTheSpellingOfAReport(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(&Accepted{Event: jsontext.Value("{ \"title\" : \"\\u4e8b\\/<b>\",\n \"n\": [1.0, 1e3] }")}, JSON)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"event":{"title":"\u4e8b\/<b>","n":[1.0,1e3]}`)
}

func TestJSON_ReplacesInvalidUTF8(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(&Duty{Quote: "\xff报告"}, JSON)
	require.NoError(t, err)
	require.Contains(t, string(raw), "\uFFFD报告")
}

// TestState_IsReadAsItWasWritten draws facts of any origin and time.
func TestState_IsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stamp := func() Field {
			return Field{At: time.Unix(rapid.Int64Range(1, 3).Draw(t, "at"), 0).UTC(), Record: rapid.Uint64Range(1, 3).Draw(t, "record")}
		}
		s := State{Fields: map[string]Field{}, Archived: rapid.Bool().Draw(t, "archived")}
		if rapid.Bool().Draw(t, "reported") {
			s.Reported = stamp()
			s.Reported.Value = jsontext.Value("null")
		}
		for _, path := range rapid.SliceOf(rapid.StringMatching(`[a-z."\\ü]{1,4}`)).Draw(t, "paths") {
			f := stamp()
			f.Value = jsontext.Value(rapid.SampledFrom([]string{`null`, `1`, `"<&>"`, `{"a":[]}`}).Draw(t, "value"))
			s.Fields[path] = f
		}
		raw, err := json.Marshal(s, JSON)
		require.NoError(t, err)
		var back State
		require.NoError(t, json.Unmarshal(raw, &back, JSON))
		require.Equal(t, s, back)
	})
}

func TestState_StampsOfReportedAreWrittenOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := State{
		Fields:   map[string]Field{"title": {Value: jsontext.Value(`"t"`), At: at, Record: 9}, "kind": {Value: jsontext.Value(`"k"`), At: at, Record: 7}},
		Reported: Field{At: at, Record: 9},
	}
	raw, err := json.Marshal(s, JSON)
	require.NoError(t, err)
	require.JSONEq(t, `{"fields":{"kind":{"value":"k","at":"2026-01-02T03:04:05Z","record":7},"title":{"value":"t"}},"reported":{"value":null,"at":"2026-01-02T03:04:05Z","record":9}}`, string(raw))
}

// TestState_ReadsTheFormWithEveryStamp reads the form that older records have.
func TestState_ReadsTheFormWithEveryStamp(t *testing.T) {
	t.Parallel()
	var s State
	require.NoError(t, json.Unmarshal([]byte(`{"fields":{"title":{"value":"t","at":"2026-01-02T03:04:05Z","record":7}},"reported":{"value":null,"at":"2026-01-02T03:04:06Z","record":9}}`), &s, JSON))
	require.EqualValues(t, 7, s.Fields["title"].Record)
	require.Equal(t, 5, s.Fields["title"].At.Second())
}

func TestReceipt_IsRefusedWithAValueOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"status":7}`, `{"record":"7"}`, `{"record":-1}`, `{"record":1.5}`, `{"entry":"no hash"}`, `{"entry":7}`, `{"receivedAt":"today"}`, `{"receivedAt":7}`, `{"signed":[]}`,
		`{"signed":{"index":"1"}}`, `{"signed":{"path":7}}`, `{"signed":{"signature":"*"}}`, `[]`, ``, `{"status":"a"`, `{"status":"a\"}`, `{"exercise":1}`, `{"late":{}}`,
	} {
		require.Error(t, json.Unmarshal([]byte(raw), new(Receipt), JSON), raw)
	}
	for _, raw := range []string{`{}`, `null`, `{"status":null,"record":null,"entry":null,"receivedAt":null,"signed":null,"errors":null,"exercise":null}`} {
		var r Receipt
		require.NoError(t, json.Unmarshal([]byte(raw), &r, JSON), raw)
		require.Zero(t, r)
	}
}

// FuzzBodies checks that every decoder of a body takes any JSON, or returns an error.
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
		for _, v := range coded {
			_ = json.Unmarshal(raw, reflect.New(reflect.TypeOf(v)).Interface(), JSON)
		}
		s := Stored{Record: Record{Data: raw}}
		_, _ = Decode[Accepted](s)
		_, _ = Decode[Graded](s)
		_, _ = Decode[Escalated](s)
		var state State
		if json.Unmarshal(raw, &state, JSON) == nil {
			again, err := json.Marshal(state, JSON)
			require.NoError(t, err)
			require.True(t, stdjson.Valid(again), string(again))
		}
	})
}

// A field of the claim that is not taken from the receipt would not be signed.
func TestReceipt_ClaimHasEveryField(t *testing.T) {
	t.Parallel()
	var r Receipt
	codectest.Fill(&r)
	claim, receipt := reflect.ValueOf(r.Claim()), reflect.ValueOf(r)
	for i := range claim.NumField() {
		name := claim.Type().Field(i).Name
		require.Equal(t, receipt.FieldByName(name).Interface(), claim.Field(i).Interface(), name)
	}
}
