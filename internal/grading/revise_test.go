package grading

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/cloudevent"
	"github.com/tocsin-project/tocsin/internal/event"
)

// revise folds reports in sequence, from ledger sequence 10 on.
func revise(t require.TestingT, rb Rulebook, reports ...*event.Accepted) []*event.Graded {
	var history []*event.Graded
	var prev *event.Graded
	for i, a := range reports {
		next, err := rb.Revise(prev, cause(uint64(10+i), a), nil)
		require.NoError(t, err)
		history = append(history, next)
		prev = next
	}
	return history
}

// due returns the due times of one duty as times of the day.
func due(t *testing.T, g *event.Graded, duty string) string {
	t.Helper()
	for _, d := range g.Duties {
		if d.Duty != duty {
			continue
		}
		text := "none"
		if d.DueAt != nil {
			text = d.DueAt.In(nine.Location()).Format("15:04")
		}
		if d.StrictDueAt != nil {
			text += " strictly " + d.StrictDueAt.In(nine.Location()).Format("15:04")
		}
		return text
	}
	return "not owed"
}

const (
	toProtection = "cii-operator-to-protection"         // 1 h from discovery
	toNational   = "protection-to-national-cyberspace"  // 30 min from receipt
	toPromptly   = "operator-to-protection"             // no number
	ownFirst     = `"facilities":["dispatch"],` + large // without a discovery
)

func TestDueTimes(t *testing.T) {
	rb := rulebook(t)
	at := func(hhmm string) time.Time {
		of, err := time.Parse("15:04", hhmm)
		require.NoError(t, err)
		return nine.Add(time.Duration(of.Hour()-9)*time.Hour + time.Duration(of.Minute())*time.Minute)
	}
	for _, row := range []struct {
		name    string
		reports []*event.Accepted
		want    map[string]string
	}{
		{"counts from discovery", []*event.Accepted{taken("initial", "r1", at("09:00"), onSite+","+major)},
			map[string]string{toProtection: "09:40", toNational: "09:30", toPromptly: "none"}},
		{"a discovery after receipt counts as receipt", []*event.Accepted{
			taken("initial", "r1", at("08:10"), onSite+","+large)},
			map[string]string{toProtection: "09:10"}},
		{"without a discovery it counts from receipt", []*event.Accepted{taken("progress", "r1", at("09:00"), ownFirst)},
			map[string]string{toProtection: "10:00"}},
		{"a regrade counts from itself, strictly from discovery", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+","+short), taken("progress", "r2", at("11:00"), major)},
			map[string]string{toProtection: "12:00 strictly 09:40", toNational: "11:30"}},
		{"what is due stays due", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+","+large), taken("progress", "r2", at("09:20"), major), taken("progress", "r3", at("11:00"), `"cause":"x"`)},
			map[string]string{toProtection: "09:40", toNational: "09:50"}},
		{"a correction of the discovery moves nothing", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+","+large), taken("progress", "r2", at("09:20"), `"discoveredAt":"2026-03-02T08:59:00+08:00"`)},
			map[string]string{toProtection: "09:40"}},
		{"an initial report that arrives second still counts from discovery", []*event.Accepted{
			taken("progress", "r2", at("09:00"), major), taken("initial", "r1", at("09:01"), onSite)},
			map[string]string{toProtection: "09:40", toNational: "09:31"}},
		{"an import starts no clock", []*event.Accepted{taken("initial", "r1", at("09:00"), onSite+`,"imported":true,`+major)},
			map[string]string{toProtection: "none", toNational: "none", toPromptly: "none"}},
		{"an import cannot stop the clocks of a live incident", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+","+large), taken("progress", "r2", at("09:20"), `"imported":true,`+major)},
			map[string]string{toProtection: "09:40", toNational: "09:50"}},
		{"what follows an import is one, unless it says otherwise", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+`,"imported":true,`+large), taken("progress", "r2", at("09:20"), major)},
			map[string]string{toProtection: "none", toNational: "none"}},
		{"an archive that comes alive starts its clocks", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+`,"imported":true,`+large), taken("progress", "r2", at("09:20"), `"imported":false,`+major)},
			map[string]string{toNational: "09:50"}},
		{"what is withdrawn is not owed", []*event.Accepted{
			taken("initial", "r1", at("09:00"), onSite+","+large), taken("withdrawal", "r2", at("09:20"), `"reason":"x"`)},
			map[string]string{toProtection: "not owed"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			history := revise(t, rb, row.reports...)
			for duty, want := range row.want {
				require.Equal(t, want, due(t, history[len(history)-1], duty), duty)
			}
		})
	}
}

// A withdrawal dated before the last report says so; later facts about a withdrawn
// incident do not raise it.
func TestAWithdrawalOutOfOrder(t *testing.T) {
	rb := rulebook(t)
	early := nine.Add(-time.Minute)
	late := taken("withdrawal", "r2", nine.Add(time.Second), `"reason":"false-alarm"`)
	late.SentAt = &early
	history := revise(t, rb, taken("initial", "r1", nine, onSite+","+large), late)
	require.Nil(t, history[1].Withdrawal)
	require.Equal(t, event.ChangeUnchanged, history[1].Change.Kind)
	require.Contains(t, history[1].Change.Reason, "has no effect")

	first := taken("initial", "r1", nine.Add(time.Second), onSite+","+major)
	first.SentAt = &early
	history = revise(t, rb, taken("withdrawal", "r2", nine, `"reason":"false-alarm"`), first)
	require.NotNil(t, history[1].Withdrawal)
	require.Equal(t, event.ChangeUnchanged, history[1].Change.Kind)
	require.Empty(t, history[1].Escalations)
}

// A facility of the same protection department that is named later has a limit of its
// own: its desk must not be told that the operator is late.
func TestAFacilityNamedLaterHasItsOwnLimit(t *testing.T) {
	rb := rulebook(t, "{id: office-portal, name: {zh: 办公门户, en: Office portal}, sector: energy, region: \"310000\"}",
		"{id: office-portal, name: {zh: 办公门户, en: Office portal}, sector: energy, region: \"310000\", cii: true, protection: protection-energy}")
	history := revise(t, rb,
		taken("initial", "r1", nine, onSite+","+large),
		taken("progress", "r2", nine.Add(3*time.Hour), `"facilities":["dispatch","office-portal"]`))
	g := history[1]
	require.Equal(t, "protection-energy", g.Escalations[0].Desk)
	e := g.Escalations[0]
	require.Len(t, e.Duties, 1)
	require.Equal(t, []string{"office-portal"}, e.Duties[0].Facilities)
	require.True(t, e.DueAt().Equal(nine.Add(4*time.Hour)))
	require.Len(t, e.Standing, 1)
	require.Equal(t, []string{"dispatch"}, e.Standing[0].Facilities)
	require.True(t, e.Standing[0].DueAt.Equal(nine.Add(40*time.Minute)))

	// Named together, they are one duty.
	g = revise(t, rb, taken("initial", "r1", nine, `"discoveredAt":"2026-03-02T08:40:00+08:00","facilities":["dispatch","office-portal"],`+large))[0]
	require.Len(t, g.Escalations[0].Duties, 1)
	require.Equal(t, []string{"dispatch", "office-portal"}, g.Escalations[0].Duties[0].Facilities)
}

// A report that was set aside and is folded after a later one does not turn the clock
// back: a raised grade stays.
func TestTimeIsNotTurnedBack(t *testing.T) {
	rb := rulebook(t)
	since := `"facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:00:00+08:00"}]}`
	first, err := rb.Revise(nil, cause(10, taken("initial", "r1", nine.Add(-time.Minute), onSite+","+since)), nil)
	require.NoError(t, err)
	require.Equal(t, event.RelativelyLarge, first.Grade)
	later, err := rb.Revise(first, cause(12, taken("progress", "r3", nine, `"cause":"x"`)), []uint64{11})
	require.NoError(t, err)
	require.Equal(t, event.Major, later.Grade, "an hour has passed")
	require.Equal(t, []uint64{11}, later.Aside)
	late, err := rb.Revise(later, cause(11, taken("progress", "r2", nine.Add(-time.Second), `"plan":"y"`)), nil)
	require.NoError(t, err)
	require.Equal(t, event.Major, late.Grade)
	require.Equal(t, event.ChangeUnchanged, late.Change.Kind)
	require.EqualValues(t, 12, late.Through)
	require.Empty(t, late.Aside)
}

func TestReviseNamesItsRules(t *testing.T) {
	rb := rulebook(t)
	now := revise(t, rb, taken("initial", "r1", nine, onSite))[0]
	require.Contains(t, now.Rules.Packs, "cn-csirm-2025")
	require.Equal(t, rb.Register.SHA256, now.Rules.Register)
	before := revise(t, rb, taken("initial", "r1", time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC), onSite))[0]
	require.Contains(t, before.Rules.Packs, "cn-cii-2021")
	require.NotContains(t, before.Rules.Packs, "cn-csirm-2025", "the Measures are not in force yet")
}

func TestReviseRefusesWhatTheRegisterDoesNotKnow(t *testing.T) {
	rb := rulebook(t)
	stranger := taken("initial", "r1", nine, onSite)
	stranger.Operator = "stranger"
	_, err := rb.Revise(nil, cause(1, stranger), nil)
	require.ErrorContains(t, err, "stranger")
	_, err = rb.Revise(nil, cause(1, taken("initial", "r1", nine, `"facilities":["nowhere"]`)), nil)
	require.ErrorContains(t, err, "nowhere")
	broken := taken("initial", "r1", nine, onSite)
	broken.Event = jsontext.Value(`"no object"`)
	_, err = rb.Revise(nil, cause(1, broken), nil)
	require.Error(t, err)
}

func TestReviseIsDeterministic(t *testing.T) {
	rb, again := rulebook(t), rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		reports := anyReports(t, 4)
		one, err := json.Marshal(revise(t, rb, reports...), event.JSON)
		require.NoError(t, err)
		two, err := json.Marshal(revise(t, again, reports...), event.JSON)
		require.NoError(t, err)
		require.Equal(t, string(one), string(two))
	})
}

// A revision that is encoded and decoded is the same: later revisions do not depend on
// whether it was cached.
func TestReviseFromWhatWasWritten(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		reports := anyReports(t, 4)
		straight := revise(t, rb, reports...)
		var prev *event.Graded
		for i, a := range reports {
			next, err := rb.Revise(prev, cause(uint64(10+i), a), nil)
			require.NoError(t, err)
			raw, err := json.Marshal(next, event.JSON)
			require.NoError(t, err)
			want, err := json.Marshal(straight[i], event.JSON)
			require.NoError(t, err)
			require.Equal(t, string(want), string(raw))
			prev = new(event.Graded)
			require.NoError(t, json.Unmarshal(raw, prev, event.JSON))
		}
	})
}

// A report just parsed by intake is graded as the stored one.
func TestReviseWithoutReadingAgain(t *testing.T) {
	rb := rulebook(t)
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		drawn := anyReport(t, 0)
		var in struct {
			Data jsontext.Value `json:"data"`
		}
		require.NoError(t, json.Unmarshal(drawn.Event, &in, event.JSON))
		data := in.Data
		lasting := rapid.SampledFrom([]string{"", `"outage":[{"scope":"overall","since":"2026-03-02T09:30:00+08:00"}]`, `"defacement":{"class":"central","since":"2027-01-01T00:00:00Z"}`}).Draw(t, "lasting")
		if text := string(data); lasting != "" && !strings.Contains(text, `"outage"`) {
			data = jsontext.Value(strings.Replace(strings.Replace(text, `"facts":{`, `"facts":{`+lasting+`,`, 1), ",}", "}", 1))
		}
		name := rapid.SampledFrom([]string{"data", `d\u0061ta`}).Draw(t, "name")
		e, err := cloudevent.Parse(fmt.Appendf(nil, `{"specversion": "1.0", "id":"r", "source":"urn:tocsin:operator:grid-east", "subject":"x", "type":%q, "%s":%s}`, drawn.Type, name, data))
		if err != nil {
			return
		}
		read := e.Accepted("grid-east", drawn.ReceivedAt)
		raw, err := json.Marshal(read, event.JSON)
		require.NoError(t, err)
		stored := new(event.Accepted)
		require.NoError(t, json.Unmarshal(raw, stored, event.JSON))
		_, known := stored.Data()
		require.False(t, known)
		report, known := read.Data()
		require.True(t, known)
		seen[fmt.Sprint(drawn.Type, isAhead(report.Facts, read.ReceivedAt))] = true
		one, err := json.Marshal(revise(t, rb, read)[0], event.JSON)
		require.NoError(t, err)
		two, err := json.Marshal(revise(t, rb, stored)[0], event.JSON)
		require.NoError(t, err)
		require.Equal(t, string(two), string(one))
	})
	require.GreaterOrEqual(t, len(seen), 3, "types of report, ahead of their receipt or not: %v", seen)

	// A fact dated to begin after the receipt begins with it.
	e, err := cloudevent.Parse([]byte(`{"specversion":"1.0","id":"r","source":"urn:tocsin:operator:grid-east","subject":"x","type":"tocsin.report.progress.v1","data":{"containsNoStateSecrets":true,"facilities":["dispatch"],"facts":{"outage":[{"scope":"overall","since":"2026-03-02T10:00:00+08:00"}]}}}`))
	require.NoError(t, err)
	g := revise(t, rb, e.Accepted("grid-east", nine))[0]
	require.NotNil(t, g.RegradeAt)
	require.True(t, g.RegradeAt.Before(nine.Add(time.Hour)), "%v", g.RegradeAt)
}

// Every desk told is told of every later revision, and of no duty twice.
func TestTellDropsNobodyAndRepeatsNothing(t *testing.T) {
	rb := rulebook(t)
	rapid.Check(t, func(t *rapid.T) {
		under := map[string]bool{}
		told := []string{}
		peak := event.Ungraded
		for i, g := range revise(t, rb, anyReports(t, 6)...) {
			peak = max(peak, g.Grade)
			require.Equal(t, i+1, g.Revision)
			require.Equal(t, peak, g.Peak)
			reached := []string{}
			for _, e := range g.Escalations {
				require.NotContains(t, reached, e.Desk)
				reached = append(reached, e.Desk)
				require.Equal(t, len(e.Duties) == 0, e.Act == event.ActUpdate)
				for _, d := range e.Duties {
					fresh := false
					for _, f := range d.Facilities {
						key := fmt.Sprint(e.Desk, d.Statute, d.Duty, d.From, f)
						fresh = fresh || !under[key]
						under[key] = true
					}
					require.True(t, fresh, "%s/%s again to %s", d.Statute, d.Duty, e.Desk)
				}
			}
			for _, desk := range told {
				require.Contains(t, reached, desk)
			}
			for _, d := range g.Duties { // a duty that is owed is carried out
				i := slices.IndexFunc(g.Escalations, func(e event.Escalation) bool { return e.Desk == d.Desk })
				require.GreaterOrEqual(t, i, 0)
				n := len(g.Escalations[i].Duties) + len(g.Escalations[i].Standing)
				require.Positive(t, n)
			}
			if g.Withdrawal != nil {
				require.Empty(t, g.Duties)
			}
			require.Len(t, g.Told, len(reached))
			told = reached
		}
	})
}

func BenchmarkRevise(b *testing.B) {
	rb := rulebook(b)
	first := revise(b, rb, taken("initial", "r1", nine, onSite+","+large))[0]
	progress := taken("progress", "r2", nine.Add(time.Hour), major+`,"cause":"switch"`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rb.Revise(first, cause(11, progress), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReviseAndEncode(b *testing.B) {
	rb := rulebook(b)
	first := revise(b, rb, taken("initial", "r1", nine, onSite+","+large))[0]
	progress := taken("progress", "r2", nine.Add(time.Hour), major+`,"cause":"switch"`)
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		g, err := rb.Revise(first, cause(11, progress), nil)
		if err != nil {
			b.Fatal(err)
		}
		raw, err := json.Marshal(g, event.JSON)
		if err != nil {
			b.Fatal(err)
		}
		size = len(raw)
	}
	b.ReportMetric(float64(size), "bytes")
}

// The hot path: a first report, of an ended and of a lasting outage.
func BenchmarkReviseFirst(b *testing.B) {
	rb := rulebook(b)
	for name, facts := range map[string]string{"ended": large, "lasting": lasting} {
		b.Run(name, func(b *testing.B) {
			first := taken("initial", "r1", nine, onSite+","+facts)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rb.Revise(nil, cause(10, first), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLate(b *testing.B) {
	rb := rulebook(b)
	for name, at := range map[string]time.Time{"in time": nine, "late": nine.Add(5 * time.Hour)} {
		b.Run(name, func(b *testing.B) {
			first := taken("initial", "r1", at, onSite+","+large)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := lateOf(rb, first); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
