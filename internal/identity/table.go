package identity

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Access is how a subject is used.
type Access string

// The kinds of access.
const (
	Request Access = "sends"    // sends a request and alone gets the answer
	Receive Access = "receives" // receives what is published there
)

// Permission is a line of the permission table. The first wildcard of the subject is the
// token of the caller.
type Permission struct {
	Subject string
	Access  Access
	What    string // in words
	Roles   []Role
	// Engine is the engine's own subject that the line opens, only for the consumers of a
	// desk's screens, which replace the last wildcard of each.
	Engine string
}

// Permissions is the whole permission table: what it does not list is forbidden. What an
// answer shows of the record also depends on Scope.
var Permissions = []Permission{
	{Subject: api.EndpointReport, Access: Request, What: "report", Roles: []Role{Operator}},
	{Subject: api.AllReceipts, Access: Receive, What: "receipts of its own reports", Roles: []Role{Operator}},
	{Subject: api.AllReminders, Access: Receive, What: "reminders of what it owes", Roles: []Role{Operator}},
	{Subject: api.EndpointWatch, Access: Request, What: "open its own consumer", Roles: []Role{Desk}},
	{Subject: api.EndpointNext, Access: Request, What: "fetch from its own consumer", Roles: []Role{Desk}, Engine: api.EngineNext},
	{Subject: api.EndpointConsumer, Access: Request, What: "information on its own consumer", Roles: []Role{Desk}, Engine: api.EngineConsumer},
	{Subject: api.EngineAck, Access: Request, What: "acknowledge its own deliveries", Roles: []Role{Desk}, Engine: api.EngineAck},
	{Subject: api.EndpointOutcome, Access: Request, What: "outcomes of its own escalations", Roles: []Role{Desk}},
	{Subject: api.EndpointAcknowledge, Access: Request, What: "acknowledge", Roles: []Role{Desk}},
	{Subject: api.EndpointAct, Access: Request, What: "ask, determine, transfer, confirm, close", Roles: []Role{Desk}},
	{Subject: api.EndpointQuery, Access: Request, What: "escalations", Roles: []Role{Desk, Regulator, Admin}},
	{Subject: api.EndpointIncidents, Access: Request, What: "incidents in their current state", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointShow, Access: Request, What: "the story of an incident", Roles: []Role{Regulator, Admin}},
	{Subject: api.EndpointStats, Access: Request, What: "escalations, counted", Roles: []Role{Desk, Regulator, Admin}},
	{Subject: api.EndpointProve, Access: Request, What: "a record with its proof", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointLog, Access: Request, What: "the state of the log", Roles: []Role{Operator, Desk, Regulator, Admin, Service}},
	{Subject: api.EndpointTiles, Access: Request, What: "tiles of the tree: hashes", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointRecords, Access: Request, What: "stored records, where it may see all", Roles: []Role{Regulator, Admin}},
	{Subject: api.EndpointAudit, Access: Request, What: "a check of the whole record", Roles: []Role{Admin}},
	{Subject: api.EndpointRemove, Access: Request, What: "removal by order", Roles: []Role{Admin}},
	{Subject: api.EndpointArchive, Access: Request, What: "archiving", Roles: []Role{Admin}},
	{Subject: api.EndpointCertify, Access: Request, What: "certify the key that signs receipts", Roles: []Role{Service}},
	{Subject: api.EndpointDesks, Access: Request, What: "which desks have a screen", Roles: []Role{Desk, Regulator, Admin, Service}},
}

// Route maps a subject of a client to that of the services.
type Route struct {
	Access Access
	Local  string // as the client sees it
	Remote string // as the services or the engine see it
}

// Routes returns the routes that the line gives an identity in a realm.
func (p Permission) Routes(caller Identity, realm event.Realm) (out []Route) {
	if !slices.Contains(p.Roles, caller.Role) {
		return nil
	}
	if p.Engine != "" {
		for _, screen := range caller.Screens {
			consumer := api.ScreenConsumer(caller.ID, screen)
			local := strings.Replace(p.localSubject(caller), "*", consumer, 1)
			remote := strings.Replace(p.Engine, "*", consumer, 1)
			out = append(out, Route{p.Access, realm.WireScreen(local), realm.WireScreen(remote)})
		}
		return out
	}
	local := p.localSubject(caller)
	if p.Access == Receive {
		return []Route{{p.Access, realm.Wire(local), realm.Wire(local)}}
	}
	return []Route{{p.Access, realm.Wire(local), realm.Wire(caller.Subject(local))}}
}

// Export returns the subject that Routes lead to, for any identity.
func (p Permission) Export(realm event.Realm) string {
	switch {
	case p.Engine != "":
		return realm.WireScreen(p.Engine)
	case p.Access == Receive:
		return realm.Wire(p.Subject)
	}
	return realm.Wire(RequestWildcard(p.Subject))
}

// localSubject returns the subject with the caller's token for its first wildcard,
// unless it is the engine's own.
func (p Permission) localSubject(caller Identity) string {
	if p.Subject == p.Engine {
		return p.Subject
	}
	return strings.Replace(p.Subject, "*", event.Token(caller.ID), 1)
}

// matches reports whether endpoint is the localSubject for a token, without building
// it: it runs for every request.
func (p Permission) matches(token, endpoint string) bool {
	before, after, wild := strings.Cut(p.Subject, "*")
	if !wild {
		return endpoint == p.Subject
	}
	rest, ok := strings.CutPrefix(endpoint, before)
	if !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, token)
	return ok && rest == after
}

// May reports whether the identity has this access to an endpoint. Callers of a server
// without identities may do everything.
func (i Identity) May(access Access, endpoint string) bool {
	if i.Role == Trial {
		return true
	}
	token := event.Token(i.ID)
	return slices.ContainsFunc(Permissions, func(p Permission) bool {
		return p.Access == access && p.Engine == "" && slices.Contains(p.Roles, i.Role) && p.matches(token, endpoint)
	})
}

// Table renders the permission table for the administrator's handbook.
func Table() string {
	var b strings.Builder
	b.WriteString("| subject | may | operator | desk | regulator | admin |\n|---|---|---|---|---|---|\n")
	for _, p := range Permissions {
		b.WriteString("| `" + strings.ReplaceAll(p.Subject, "|", "\\|") + "` | " + p.What + " |")
		for _, r := range Roles {
			cell := ""
			if slices.Contains(p.Roles, r) {
				cell = string(p.Access)
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}
