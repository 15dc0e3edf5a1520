package identity

import (
	"slices"
	"strings"
	"testing"
)

// ParseSubject returns exactly what Subject was given.
func FuzzOfSubject(f *testing.F) {
	for _, s := range []string{"by.operator.grid-east.report.grid-east", "by.service.tocsin.deadline.desks", "by.", "by...", "by.a.b", "by.a.b.", "report.x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		role, token, rest, ok := ParseSubject(subject)
		if !ok {
			if role != "" || token != "" || rest != "" {
				t.Fatalf("%q says %q, %q, %q", subject, role, token, rest)
			}
			return
		}
		if subject != "by."+string(role)+"."+token+"."+rest || strings.Contains(string(role)+token, ".") {
			t.Fatalf("%q says %q, %q, %q", subject, role, token, rest)
		}
		who := Identity{Role: role, ID: token}
		if named := role == Operator || role == Desk; named && token != "" && who.Scope().IsAll() { // no subject has an empty token
			t.Fatalf("%q sees everything", subject)
		}
		if role != Trial && !slices.Contains(Roles, role) && role != Service && (!who.Scope().None || who.May(Request, rest)) {
			t.Fatalf("%q is of no role and may something", subject)
		}
		if again, _, _, ok := ParseSubject(who.Subject(rest)); !ok || again != role {
			t.Fatalf("%q comes back as of %q", subject, again)
		}
	})
}
