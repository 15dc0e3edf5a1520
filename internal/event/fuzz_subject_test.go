package event

import (
	"strings"
	"testing"
)

// A parsed subject consists of its tokens, each in one place.
func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{
		"incident.accepted.grid-east.i1.r1", "incident.escalated.d.o.i.1", "incident.unhandled.s.o.i.1", "incident.away.d.1", "incident.removed.7", "rules.x",
		"incident.read.o.i.=x", "incident.closed.d.o.i.a", "incident.", "incident..", "rules.", "", ".", "incident.accepted.a.b.c.d.e", "exercise.incident.accepted.a.b.c", "rejected.a.b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		a := ParseSubject(subject)
		if a.Kind == "" && a != (Address{}) {
			t.Fatalf("%q is of no kind and says %+v", subject, a)
		}
		for _, token := range []string{a.Desk, a.Operator, a.Incident, a.Last} {
			if strings.Contains(token, ".") || !strings.Contains(subject, token) {
				t.Fatalf("%q is no token of %q", token, subject)
			}
		}
		if id := EscalationOf(subject); !strings.HasSuffix(subject, id) || EscalationOf("incident.x."+id) != id {
			t.Fatalf("%q is the escalation of %q", id, subject)
		}
		if !Matches(">", subject) || !Matches(subject, subject) {
			t.Fatalf("%q does not match itself", subject)
		}
		for _, r := range []Realm{Real, Drill} {
			if r.Plain(r.Wire(subject)) != subject {
				t.Fatalf("%q is another subject when it comes back", subject)
			}
		}
	})
}

// Every id has a token of its own that is valid in a subject.
func FuzzTokens(f *testing.F) {
	f.Add("protection-energy", "wall")
	f.Add("a:b", "c")
	f.Add("a", "b:c")
	f.Add("=", "=x")
	f.Add("*", ">")
	f.Add("", "\x00\n")
	f.Fuzz(func(t *testing.T, desk, client string) {
		for _, id := range []string{desk, client} {
			if token := Token(id); !IsToken(token) || token != id && !strings.HasPrefix(token, hashed) {
				t.Fatalf("%q has the token %q", id, token)
			}
		}
		if (Token(desk) == Token(client)) != (desk == client) {
			t.Fatalf("%q and %q: %q, %q", desk, client, Token(desk), Token(client))
		}
		if escalated, acknowledged, named, err := SubjectsOfEscalation(desk); err == nil && (ParseSubject(escalated).Desk != named || ParseSubject(acknowledged).Kind != KindAcknowledged) {
			t.Fatalf("%q names %q and %q", desk, escalated, acknowledged)
		}
	})
}
