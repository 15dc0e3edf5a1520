package identity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

func TestCheck(t *testing.T) {
	for want, who := range map[string]identity.Identity{
		"":                          {Role: identity.Regulator, ID: "xj", Level: identity.Province, Region: "650000", Sector: "energy"},
		"not a role":                {Role: "trial", ID: "x"},
		"not an id":                 {Role: identity.Desk, ID: "a.b"},
		"only a regulator has":      {Role: identity.Desk, ID: "d", Sector: "energy"},
		"needs its level":           {Role: identity.Regulator, ID: "r"},
		"national level has no":     {Role: identity.Regulator, ID: "r", Level: identity.National, Region: "650000"},
		"province needs its":        {Role: identity.Regulator, ID: "r", Level: identity.Province, Region: "650100"},
		"prefecture needs its":      {Role: identity.Regulator, ID: "r", Level: identity.Prefecture, Region: "650000"},
		"six digits":                {Role: identity.Regulator, ID: "r", Level: identity.Prefecture, Region: "6501"},
		"\"service\" is not a role": {Role: identity.Service, ID: "x"},
		"province needs its regi":   {Role: identity.Regulator, ID: "r", Level: identity.Province},
	} {
		err := who.Check()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

// Permissions not in the table are denied, and its wildcard matches only the caller's own
// token.
func TestMay(t *testing.T) {
	grid, desk := identity.Identity{Role: identity.Operator, ID: "grid-east"}, identity.Identity{Role: identity.Desk, ID: "d"}
	for _, c := range []struct {
		who     identity.Identity
		subject string
		may     bool
	}{
		{grid, "report.grid-east", true}, {grid, "report.xj-hydro", false}, {grid, "report.*", false}, {grid, api.EndpointRemove, false},
		{grid, api.EndpointQuery, false}, {desk, "desk.d.act", true}, {desk, "desk.e.act", false}, {desk, "report.d", false},
		{identity.Identity{}, api.EndpointLog, false}, {identity.Identity{Role: "root", ID: "x"}, api.EndpointLog, false},
		{grid, "report.grid-eastern", false}, {grid, "report.grid-east.x", false}, {grid, "report.", false}, {desk, "desk.d.act.x", false}, {desk, "desk.dd.act", false}, {desk, "desk..act", false},
		{identity.Anyone, "report.xj-hydro", true},
	} {
		require.Equal(t, c.may, c.who.May(identity.Request, c.subject), "%s %s", c.who, c.subject)
	}
	require.False(t, grid.May(identity.Receive, "report.grid-east"))
	require.True(t, grid.May(identity.Receive, "receipt.grid-east"))
	require.True(t, identity.Identity{}.Scope().None)
	for _, who := range []identity.Identity{{Role: identity.Operator}, {Role: identity.Desk}, {Role: identity.Admin}, {Role: identity.Regulator, ID: "r"}} {
		require.True(t, who.Scope().None, "%+v", who)
	}
	require.True(t, identity.Of(t.Context()).IsZero())
}

func TestSubjects(t *testing.T) {
	who := identity.Identity{Role: identity.Desk, ID: "d"}
	role, token, rest, ok := identity.ParseSubject(who.Subject("desk.d.act"))
	require.True(t, ok)
	require.Equal(t, []string{"desk", "d", "desk.d.act"}, []string{string(role), token, rest})
	require.True(t, event.Matches(identity.RequestWildcard(api.EndpointAct), who.Subject("desk.d.act")))
	for _, bad := range []string{"", "by", "by.desk", "by.desk.d", "desk.d.act", "incident.x.y.z"} {
		_, _, _, ok := identity.ParseSubject(bad)
		require.False(t, ok, bad)
	}
}
