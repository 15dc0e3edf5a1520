package event

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// sample returns a subject of a form.
func (f Form) sample(kind string) string {
	tokens := []string{"incident", kind}
	if kind == KindRules {
		tokens = tokens[1:]
	}
	for _, slot := range f {
		tokens = append(tokens, []string{"desk", "operator", "incident", "service", "last"}[slot])
	}
	return strings.Join(tokens, ".")
}

func TestKinds_AreComplete(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) { requireComplete(t, k) })
	}
}

// requireComplete says what is missing in the line of a kind.
func requireComplete(t *testing.T, k Kind) {
	t.Helper()
	same := func(other Kind) bool { return other.Name == k.Name }
	require.Len(t, slices.DeleteFunc(slices.Clone(Kinds), func(o Kind) bool { return !same(o) }), 1, "two kinds have this name")
	require.NotEmpty(t, k.Subjects, "which subjects has it?")
	inStory := false
	for _, form := range k.Subjects {
		a := ParseSubject(form.sample(k.Name))
		require.Equal(t, k.Name, a.Kind, "a subject of its own form is not read")
		inStory = inStory || a.Incident != "" || k.Name == KindRemoved // which is in the stories of what it removes
	}
	require.Equal(t, inStory, k.Story != 0, "a kind of an incident has a number in the story, and no other kind has")
	require.True(t, k.Story == 0 || countKinds(func(o Kind) bool { return o.Story == k.Story }) == 1, "two kinds have the same number")
	require.LessOrEqual(t, k.Story, countKinds(func(o Kind) bool { return o.Story != 0 }), "a number is left out")
	require.NotEmpty(t, k.Words[0], "its word in Chinese")
	require.NotEmpty(t, k.Words[1], "its word in English")

	body := k.Body()
	codectest.Fill(body)
	r, err := NewRecord(k.Subjects[0].sample(k.Name), time.Unix(1, 0).UTC(), "", body)
	require.NoError(t, err)
	back := k.Body()
	require.NoError(t, json.Unmarshal(r.Data, back, JSON))
	require.Equal(t, body, back, "a field is lost on the way through JSON")

	members := membersOfType(reflect.TypeOf(body).Elem())
	for _, name := range k.Summary {
		require.Contains(t, members, name, "the story prints a member that the body does not have")
	}
	_, isAct := body.(*DeskAct)
	require.Equal(t, isAct, k.Act, "the body of an act is a DeskAct")
	for _, name := range k.ActMembers {
		require.Contains(t, members, name)
	}
	require.False(t, k.Cause && k.Story == 0, "a cause is of an incident")
}

func countKinds(is func(Kind) bool) (n int) {
	for _, k := range Kinds {
		if is(k) {
			n++
		}
	}
	return n
}

func membersOfType(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// The verifier works without this package, and so it has a list of its own.
func TestKinds_ActsAreVerified(t *testing.T) {
	for _, k := range Kinds {
		act, err := evidence.Verifier{}.ActOf(evidence.Record{Subject: formDesk.sample(k.Name), Body: []byte("{}")})
		require.NoError(t, err)
		want := k.Act || k.Name == KindAcknowledged
		require.Equal(t, want, act != nil, "%s: see actKinds in internal/evidence/signed.go", k.Name)
	}
}

func TestKinds_AreInTheHandbook(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/handbook/developer.md")
	require.NoError(t, err)
	for _, k := range Kinds {
		require.True(t, strings.Contains(string(raw), "\n| `"+k.Name+"` |"), "%s is not in the table of kinds of the developer's handbook", k.Name)
	}
}

// A kind of record is a line of the table, and nothing else in this package.
func TestKinds_AddOne(t *testing.T) {
	type inspected struct {
		Desk string    `json:"desk"`
		At   time.Time `json:"at"`
	}
	before := Kinds
	t.Cleanup(func() { Kinds = before })
	k := Kind{
		Name: "inspected", Subjects: []Form{formDesk}, Body: body[inspected], NoContent: true, Story: 16,
		Words: [2]string{"检查", "inspected"}, Summary: []string{"desk", "at"},
	}
	Kinds = append(slices.Clone(before), k)
	requireComplete(t, k)
	require.Equal(t, Address{Kind: "inspected", Desk: "hall", Operator: "mill", Incident: "flood", Last: "1"}, ParseSubject("incident.inspected.hall.mill.flood.1"))
	require.Contains(t, Filters(func(k Kind) bool { return k.NoContent }), "incident.inspected.>")
	m := RawRecord("incident.inspected.hall.mill.flood.1", time.Unix(1, 0), "", []byte("{}")).Message(Real)
	require.Equal(t, "tocsin.incident.inspected.v1", m.Header.Get(headerType))
}
