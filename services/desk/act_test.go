package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/schemas"
)

// say returns an act as a client sends it: the sample of its kind with members changed,
// or left out if the change is nil.
func say(kind string, changes map[string]any) string {
	act := map[string]any{
		"kind": kind, "id": kind + "-1", "desk": "hall", "operator": "mill", "incident": "flood",
		"officer": "duty-officer", "reason": "按规定办理。\n另见附件。",
	}
	switch kind {
	case event.KindAsked:
		act["items"], act["dueAt"] = []string{"cause", "facts.directLoss"}, "2026-03-02T17:00:00+08:00"
	case event.KindDetermined:
		act["grade"] = "major"
	case event.KindTransferred, event.KindConfirmed:
		act["to"] = "gate"
	}
	maps.Copy(act, changes)
	maps.DeleteFunc(act, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(act)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func act(t *testing.T, env *bustest.Env, desk, text string) api.DeskActAnswer {
	t.Helper()
	return ask[api.DeskActAnswer](t, env, api.ActSubject(desk), text)
}

func commit(t *testing.T, env *bustest.Env, subject string, body any) {
	t.Helper()
	r, err := event.NewRecord(subject, nine, "", body)
	require.NoError(t, err)
	_, err = env.Bus.Commit(t.Context(), []event.Record{r})
	require.NoError(t, err)
}

// revise stores a revision of the incident with these pending forwards.
func revise(t *testing.T, env *bustest.Env, revision int, pending ...event.PendingForward) {
	t.Helper()
	commit(t, env, event.GradedSubject("mill", "flood", revision), event.Graded{Operator: "mill", Incident: "flood", Revision: revision, PendingForwards: pending})
}

func acknowledged(t *testing.T, env *bustest.Env, id string) {
	t.Helper()
	commit(t, env, "incident.acknowledged."+id, event.Acknowledgement{Escalation: id, Officer: "duty-officer", At: nine})
}

// refused lists the paths of an answer's faults.
func refused(t *testing.T, a api.DeskActAnswer) []string {
	t.Helper()
	require.Equal(t, event.StatusRejected, a.Status)
	require.Zero(t, a.Record)
	var paths []string
	for _, d := range a.Errors {
		require.NotEmpty(t, d.Message)
		paths = append(paths, d.Path)
	}
	return paths
}

func TestAct_IsRecordedOnce(t *testing.T) {
	env, c := house(t)
	revise(t, env, 1, event.PendingForward{Desk: "hall", To: "gate"})
	acknowledged(t, env, told)
	for _, k := range event.Kinds {
		if !k.Act {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			now := c.Now()
			text := say(k.Name, map[string]any{"at": "1999-01-01T00:00:00Z"})
			first := act(t, env, "hall", text)
			require.Equal(t, event.StatusAccepted, first.Status, "%v", first.Errors)
			require.True(t, first.At.Equal(now), "our clock, not the sender's")
			require.Equal(t, [5]string{k.Name, k.Name + "-1", "hall", "mill", "flood"}, [5]string{first.Kind, first.ID, first.Desk, first.Operator, first.Incident})
			stored, err := env.Bus.Get(t.Context(), first.Record)
			require.NoError(t, err)
			require.Equal(t, "incident."+k.Name+".hall.mill.flood."+k.Name+"-1", stored.Subject)
			body, err := event.Decode[event.DeskAct](stored)
			require.NoError(t, err)
			require.Equal(t, "按规定办理。\n另见附件。", body.Reason)
			require.True(t, body.At.Equal(now))

			// Meanwhile time is up, another escalation is open and the forward has gone.
			// A repeat still gets the first answer.
			c.Advance(24 * time.Hour)
			revise(t, env, 2+int(stored.Sequence))
			commit(t, env, "incident.escalated.hall.mill.flood.o"+fmt.Sprint(stored.Sequence), event.Escalated{Act: event.ActNotice})
			for text, want := range map[string]string{
				text:             event.StatusDuplicate,
				say(k.Name, nil): event.StatusDuplicate, // the stamp is not compared
				say(k.Name, map[string]any{"reason": "another"}): event.StatusConflict,
				say(k.Name, map[string]any{"officer": "deputy"}): event.StatusConflict,
			} {
				again := act(t, env, "hall", text)
				require.Equal(t, want, again.Status)
				require.Equal(t, first.Record, again.Record)
				require.True(t, again.At.Equal(now))
			}
			acknowledged(t, env, "hall.mill.flood.o"+fmt.Sprint(stored.Sequence))
			revise(t, env, 3+int(stored.Sequence), event.PendingForward{Desk: "hall", To: "gate"})
			c.Advance(-24 * time.Hour)
		})
	}
}

func TestAct_Refused(t *testing.T) {
	env, _ := house(t)
	commit(t, env, "incident.escalated.gate.mill.flood.o1", event.Escalated{Act: event.ActNotice})
	commit(t, env, "incident.escalated.gate.mill.flood.u2", event.Escalated{Act: event.ActReview})
	const asked, determined, transferred, confirmed, closed = event.KindAsked, event.KindDetermined, event.KindTransferred, event.KindConfirmed, event.KindClosed
	for _, row := range []struct {
		name, desk, text string
		want             []string
	}{
		{"no JSON", "hall", `x`, []string{"$"}},
		{"a list", "hall", `[]`, []string{"$"}},
		{"two", "hall", say(closed, nil) + `{}`, []string{"$", "$.incident"}},
		{"cut off", "hall", `{"kind":"closed"`, []string{"$"}},
		{"no UTF-8", "hall", strings.Replace(say(closed, nil), "duty-officer", "\xff", 1), []string{"$.officer", "$.incident"}},
		{"too large", "hall", say(closed, map[string]any{"reason": strings.Repeat("a", maxActBytes)}), []string{"$"}},
		{"nothing", "hall", `{}`, []string{"$.desk", "$.operator", "$.incident", "$.id", "$.officer", "$.reason", "$.kind"}},
		{"nulls", "hall", `{"kind":null,"id":null,"items":null,"reason":null}`, []string{"$.desk", "$.operator", "$.incident", "$.id", "$.officer", "$.reason", "$.kind"}},
		{"an unknown member", "hall", say(asked, map[string]any{"until": "x", "due": 1}), []string{"$.due", "$.until"}},
		{"a name in capitals", "hall", strings.Replace(say(asked, nil), `"reason"`, `"Reason"`, 1), []string{"$.Reason"}},
		{"a member twice", "hall", strings.Replace(say(asked, nil), `{`, `{"id":"x",`, 1), []string{"$.id"}},
		{"other types", "hall", say(asked, map[string]any{"items": "cause", "dueAt": "soon", "grade": "huge", "id": 1}), []string{"$.dueAt", "$.grade", "$.id", "$.items"}},
		{"another kind", "hall", say("acknowledged", nil), []string{"$.kind"}},
		{"the endpoint of another desk", "gate", say(asked, nil), []string{"$.desk"}},
		{"no such desk", "nowhere", say(asked, map[string]any{"desk": "nowhere"}), []string{"$.desk"}},
		{"no such operator", "hall", say(asked, map[string]any{"operator": "mil"}), []string{"$.operator"}},
		{"no such incident", "hall", say(asked, map[string]any{"incident": "flod"}), []string{"$.incident"}},
		{"a pattern", "hall", say(asked, map[string]any{"incident": "*"}), []string{"$.incident"}},
		{"told of silence only", "gate", say(asked, map[string]any{"desk": "gate"}), []string{"$.incident"}},
		{"a blank id", "hall", say(asked, map[string]any{"id": " "}), []string{"$.id"}},
		{"an endless id", "hall", say(asked, map[string]any{"id": strings.Repeat("号", 201)}), []string{"$.id"}},
		{"an unprintable id", "hall", say(asked, map[string]any{"id": "a\nb"}), []string{"$.id"}},
		{"nobody", "hall", say(asked, map[string]any{"officer": nil}), []string{"$.officer"}},
		{"nobody confirms", "hall", say(confirmed, map[string]any{"officer": " "}), []string{"$.officer", "$.incident"}},
		{"no reason", "hall", say(asked, map[string]any{"reason": "\n"}), []string{"$.reason"}},
		{"an endless reason", "hall", say(asked, map[string]any{"reason": strings.Repeat("因", 2001)}), []string{"$.reason"}},
		{"an unprintable reason", "hall", say(asked, map[string]any{"reason": "a\x1b[2J"}), []string{"$.reason"}},
		{"asked for nothing", "hall", say(asked, map[string]any{"items": []string{}}), []string{"$.items"}},
		{"asked for what is no fact", "hall", say(asked, map[string]any{"items": []string{"cause", "facts", "cause", "facts.cause", "reason"}}), []string{"$.items[1]", "$.items[2]", "$.items[3]", "$.items[4]"}},
		{"asked for too much", "hall", say(asked, map[string]any{"items": make([]string, 5000)}), []string{"$.items"}},
		{"asked without a time", "hall", say(asked, map[string]any{"dueAt": nil}), []string{"$.dueAt"}},
		{"due at this moment", "hall", say(asked, map[string]any{"dueAt": nine}), []string{"$.dueAt"}},
		{"asked for a far time", "hall", say(asked, map[string]any{"dueAt": "2201-01-01T00:00:00Z"}), []string{"$.dueAt"}},
		{"a time that cannot be written", "hall", say(asked, map[string]any{"dueAt": "9999-12-31T23:59:59-01:00"}), []string{"$.dueAt"}},
		{"asked for a grade", "hall", say(asked, map[string]any{"grade": "major", "to": "gate"}), []string{"$.grade", "$.to"}},
		{"no grade", "hall", say(determined, map[string]any{"grade": nil}), []string{"$.grade"}},
		{"ungraded", "hall", say(determined, map[string]any{"grade": "ungraded"}), []string{"$.grade"}},
		{"a grade and items", "hall", say(determined, map[string]any{"items": []string{"cause"}, "dueAt": nine}), []string{"$.items", "$.dueAt"}},
		{"a desk that may not grade", "gate", say(determined, map[string]any{"desk": "gate"}), []string{"$.desk", "$.incident"}},
		{"handed to nobody", "hall", say(transferred, map[string]any{"to": nil}), []string{"$.to"}},
		{"handed to itself", "hall", say(transferred, map[string]any{"to": "hall"}), []string{"$.to"}},
		{"handed to a stranger", "hall", say(transferred, map[string]any{"to": "nowhere"}), []string{"$.to"}},
		{"nothing to confirm", "hall", say(confirmed, nil), []string{"$.incident"}},
		{"closed for a desk", "hall", say(closed, map[string]any{"to": "gate"}), []string{"$.to", "$.incident"}},
		{"closed unread", "hall", say(closed, nil), []string{"$.incident"}},
		{"every fault at once", "hall", say(asked, map[string]any{"items": []string{"x"}, "dueAt": nine, "operator": "mil", "officer": nil, "nonsense": true}), []string{"$.nonsense", "$.officer", "$.items[0]", "$.operator", "$.dueAt"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			head, err := env.Bus.Head(t.Context())
			require.NoError(t, err)
			a := act(t, env, row.desk, row.text)
			paths := refused(t, a)
			require.ElementsMatch(t, row.want, paths, "%v", a.Errors)
			after, err := env.Bus.Head(t.Context())
			require.NoError(t, err)
			require.Equal(t, head, after, "nothing is recorded")
		})
	}
}

// An act that consists of unknown members still gets an answer, which fits a message.
func TestAct_ListsABoundedNumberOfFaults(t *testing.T) {
	env, _ := house(t)
	var b strings.Builder
	n := 0
	for ; b.Len() < maxActBytes-500; n++ {
		fmt.Fprintf(&b, `"m%d":1,`, n)
	}
	a := act(t, env, "hall", "{"+b.String()+say(event.KindClosed, nil)[1:])
	require.Equal(t, event.StatusRejected, a.Status)
	require.Less(t, len(a.Errors), n)
	require.Contains(t, fmt.Sprint(a.Errors), "more faults that are not listed")
}

func TestAct_ConfirmsAForward(t *testing.T) {
	env, _ := house(t)
	confirm := func(id string, to any) api.DeskActAnswer {
		return act(t, env, "hall", say(event.KindConfirmed, map[string]any{"id": id, "to": to, "reason": nil}))
	}
	revise(t, env, 1, event.PendingForward{Desk: "gate", To: "hall"})
	require.Equal(t, []string{"$.incident"}, refused(t, confirm("a", nil)), "another desk's forward")
	revise(t, env, 2, event.PendingForward{Desk: "hall", To: "gate"}, event.PendingForward{Desk: "gate", To: "hall"})
	require.Equal(t, []string{"$.to"}, refused(t, confirm("b", "hall")))
	first := confirm("c", "gate")
	require.Equal(t, event.StatusAccepted, first.Status, "%v", first.Errors)
	require.Equal(t, event.StatusAccepted, confirm("d", nil).Status, "every forward of the desk; it has not gone yet")
	revise(t, env, 3)
	require.Equal(t, []string{"$.incident"}, refused(t, confirm("e", "gate")), "it has gone")
	again := confirm("c", "gate")
	require.Equal(t, event.StatusDuplicate, again.Status)
	require.Equal(t, first.Record, again.Record)
}

func TestAct_ClosesAfterEverythingIsAcknowledged(t *testing.T) {
	env, _ := house(t)
	for _, last := range []string{"2", "o3", "u4", "r5", "a6"} {
		commit(t, env, "incident.escalated.hall.mill.flood."+last, event.Escalated{})
	}
	commit(t, env, "incident.escalated.gate.mill.flood.1", event.Escalated{}) // another desk's
	commit(t, env, "incident.escalated.hall.mill.fire.1", event.Escalated{})
	acknowledged(t, env, told)
	shut := func(id string) api.DeskActAnswer {
		return act(t, env, "hall", say(event.KindClosed, map[string]any{"id": id}))
	}
	a := shut("a")
	require.Equal(t, []string{"$.incident"}, refused(t, a))
	require.Contains(t, a.Errors[0].Message, "hall.mill.flood.2, hall.mill.flood.a6, hall.mill.flood.o3, hall.mill.flood.r5, hall.mill.flood.u4")
	// Notices and reviews are acknowledged like any other escalation.
	for _, last := range []string{"2", "o3", "u4", "r5", "a6"} {
		ack := ask[api.AcknowledgementAnswer](t, env, "desk.hall.acknowledge", `{"escalation":"hall.mill.flood.`+last+`","officer":"duty-officer"}`)
		require.Equal(t, event.StatusAccepted, ack.Status)
	}
	commit(t, env, "incident.escalated.hall.mill.flood.7", event.Escalated{Desk: "hall", Act: event.ActUpdate, From: "hall"})
	require.Equal(t, event.StatusAccepted, shut("b").Status, "its own determination need not be")
	for i := range 15 {
		commit(t, env, fmt.Sprintf("incident.escalated.hall.mill.flood.%d", i+10), event.Escalated{})
	}
	a = shut("c")
	require.Equal(t, []string{"$.incident"}, refused(t, a), "told again")
	require.Contains(t, a.Errors[0].Message, "and 5 more")
}

// Two desks act concurrently, each many times: each act is recorded once, and all its
// senders get the same record.
func TestAct_Concurrent(t *testing.T) {
	env, _ := house(t)
	commit(t, env, "incident.escalated.gate.mill.flood.1", event.Escalated{})
	const each, repeats = 5, 8
	var mu sync.Mutex
	var wg sync.WaitGroup
	statuses, records := map[string]int{}, map[uint64]string{}
	for _, desk := range []string{"hall", "gate"} {
		for n := range each * repeats {
			wg.Go(func() {
				id := fmt.Sprint("n", n%each)
				a := act(t, env, desk, say(event.KindAsked, map[string]any{"desk": desk, "id": id, "reason": fmt.Sprint("r", n%2)}))
				mu.Lock()
				defer mu.Unlock()
				statuses[a.Status]++
				if before, ok := records[a.Record]; ok && before != desk+id {
					t.Errorf("record %d is of %s and of %s", a.Record, before, desk+id)
				}
				records[a.Record] = desk + id
			})
		}
	}
	wg.Wait()
	require.Equal(t, 2*each, statuses[event.StatusAccepted])
	require.Len(t, records, 2*each)
	require.Equal(t, 2*each*repeats, statuses[event.StatusAccepted]+statuses[event.StatusDuplicate]+statuses[event.StatusConflict])
	require.Equal(t, 2*each*repeats/2, statuses[event.StatusConflict])
}

// In a drill the endpoint is the drill's, and so are all its reads of the ledger.
func TestAct_InADrill(t *testing.T) {
	c := clock.NewManual(nine)
	env := bustest.StartRealm(t, t.TempDir(), c, event.Drill)
	reg, err := register.Decode([]byte(houses))
	require.NoError(t, err)
	commit(t, env, "incident.escalated."+told, event.Escalated{})
	bustest.Background(t, func(ctx context.Context) error {
		return Run(ctx, Deps{Bus: env.Bus, Endpoints: env.Endpoints, Clock: c, Register: reg})
	})
	shut := func(id string) api.DeskActAnswer {
		return ask[api.DeskActAnswer](t, env, event.Drill.Wire(api.ActSubject("hall")), say(event.KindClosed, map[string]any{"id": id}))
	}
	require.Eventually(t, func() bool {
		_, err := env.Conn.Request("exercise.desk.hall.act", []byte("{}"), time.Second)
		return err == nil
	}, 30*time.Second, 5*time.Millisecond)
	require.Contains(t, shut("a").Errors[0].Message, told)
	acknowledged(t, env, told)
	require.Equal(t, event.StatusAccepted, shut("b").Status)
}

// A desk can ask for exactly the facts that the schemas allow in a report.
func TestReportPaths_MatchTheSchemas(t *testing.T) {
	want := map[string]bool{}
	for _, name := range []string{"initial.v1.json", "progress.v1.json", "final.v1.json"} {
		f, err := schemas.Reports.Open(name)
		require.NoError(t, err)
		var s struct {
			Properties map[string]any `json:"properties"`
		}
		require.NoError(t, json.NewDecoder(f).Decode(&s))
		require.NoError(t, f.Close())
		for p := range s.Properties {
			want[p] = true
		}
	}
	for _, no := range []string{"facts", "containsNoStateSecrets", "imported", "stages"} {
		delete(want, no)
	}
	f, err := schemas.Reports.Open("common.v1.json")
	require.NoError(t, err)
	var common struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.NewDecoder(f).Decode(&common))
	require.NoError(t, f.Close())
	for p := range common.Defs["facts"].Properties {
		want["facts."+p] = true
	}
	delete(want, "facts.named") // which groups others
	require.Equal(t, slices.Sorted(maps.Keys(want)), event.ReportPaths)
}

// Each kind of act takes the members that the table of record kinds gives it, and no
// others.
func TestReadAct_MembersOfEachKind(t *testing.T) {
	for _, k := range event.Kinds {
		if !k.Act {
			continue
		}
		require.Empty(t, readAct([]byte(say(k.Name, nil))).faults, k.Name)
		for member, value := range map[string]any{"items": []string{"cause"}, "dueAt": nine, "grade": "major", "to": "gate"} {
			faults := readAct([]byte(say(k.Name, map[string]any{member: value}))).faults
			require.Equal(t, slices.Contains(k.ActMembers, member), len(faults) == 0, "%s %s: %v", k.Name, member, faults)
		}
	}
}

func FuzzAct(f *testing.F) {
	for _, k := range event.Kinds {
		if !k.Act {
			continue
		}
		f.Add([]byte(say(k.Name, nil)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		form := readAct(raw)
		size := 0
		for _, d := range form.faults {
			size += len(d.Path) + len(d.Message)
			if !strings.HasPrefix(d.Path, "$") || d.Message == "" {
				t.Fatalf("bad fault %q", d)
			}
		}
		if size > 512<<10 {
			t.Fatalf("%d bytes of faults do not fit an answer", size)
		}
		sent, err := json.Marshal(form.act)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if len(form.faults) > 0 {
			return
		}
		digest, err := evidence.CanonicalDigest(sent)
		if err != nil {
			t.Fatal(err)
		}
		again := readAct(sent)
		if len(again.faults) > 0 {
			t.Fatalf("is refused when it is read back: %v: %s", again.faults, sent)
		}
		sent, err = json.Marshal(again.act)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := evidence.CanonicalDigest(sent); err != nil || other != digest {
			t.Fatalf("reads back as another act: %v: %s", err, sent)
		}
		if s := event.ActRecordSubject(form.act); event.ParseSubject(s).Kind != form.act.Kind {
			t.Fatalf("%q is no subject of an act", s)
		}
	})
}

// A desk may ask for a stage of reporting as well as for items.
func TestReadAct_AsksForAStage(t *testing.T) {
	ask := func(item string) string {
		return say(event.KindAsked, map[string]any{"items": []string{item}, "dueAt": nine, "reason": "why"})
	}
	require.Empty(t, readAct([]byte(ask("stages.intermediate"))).faults)
	for _, wrong := range []string{"stages.", "stages.A b", "stages", "facts.named"} {
		require.NotEmpty(t, readAct([]byte(ask(wrong))).faults, wrong)
	}
}
