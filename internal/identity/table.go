package identity

import (
	"slices"
	"strings"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
)

// Way is how a subject is used.
type Way string

// The ways.
const (
	Ask  Way = "asks"  // sends a request and alone gets the answer
	Hear Way = "hears" // receives what is published there
)

// Permit is a line of the permission table. The first wildcard of the subject is the
// token of the caller.
type Permit struct {
	Subject string
	Way     Way
	What    string // in words
	Roles   []Role
	// Engine is the engine's own subject that the line opens, only for the consumers of a
	// desk's screens, which replace the last wildcard of each.
	Engine string
}

// Permits is the whole permission table: what it does not list is forbidden. What an
// answer shows of the record also depends on Scope.
var Permits = []Permit{
	{Subject: api.EndpointReport, Way: Ask, What: "report", Roles: []Role{Operator}},
	{Subject: api.AllReceipts, Way: Hear, What: "receipts of its own reports", Roles: []Role{Operator}},
	{Subject: api.AllReminders, Way: Hear, What: "reminders of what it owes", Roles: []Role{Operator}},
	{Subject: api.EndpointWatch, Way: Ask, What: "open its own consumer", Roles: []Role{Desk}},
	{Subject: api.EndpointNext, Way: Ask, What: "fetch from its own consumer", Roles: []Role{Desk}, Engine: api.EngineNext},
	{Subject: api.EndpointConsumer, Way: Ask, What: "information on its own consumer", Roles: []Role{Desk}, Engine: api.EngineConsumer},
	{Subject: api.EngineAck, Way: Ask, What: "acknowledge its own deliveries", Roles: []Role{Desk}, Engine: api.EngineAck},
	{Subject: api.EndpointOutcome, Way: Ask, What: "outcomes of its own escalations", Roles: []Role{Desk}},
	{Subject: api.EndpointAcknowledge, Way: Ask, What: "acknowledge", Roles: []Role{Desk}},
	{Subject: api.EndpointAct, Way: Ask, What: "ask, determine, transfer, confirm, close", Roles: []Role{Desk}},
	{Subject: api.EndpointQuery, Way: Ask, What: "escalations", Roles: []Role{Desk, Regulator, Admin}},
	{Subject: api.EndpointIncidents, Way: Ask, What: "incidents in their current state", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointShow, Way: Ask, What: "the story of an incident", Roles: []Role{Regulator, Admin}},
	{Subject: api.EndpointStats, Way: Ask, What: "escalations, counted", Roles: []Role{Desk, Regulator, Admin}},
	{Subject: api.EndpointProve, Way: Ask, What: "a record with its proof", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointLog, Way: Ask, What: "the state of the log", Roles: []Role{Operator, Desk, Regulator, Admin, Service}},
	{Subject: api.EndpointTiles, Way: Ask, What: "tiles of the tree: hashes", Roles: []Role{Operator, Desk, Regulator, Admin}},
	{Subject: api.EndpointRecords, Way: Ask, What: "stored records, where it may see all", Roles: []Role{Regulator, Admin}},
	{Subject: api.EndpointAudit, Way: Ask, What: "a check of the whole record", Roles: []Role{Admin}},
	{Subject: api.EndpointRemove, Way: Ask, What: "removal by order", Roles: []Role{Admin}},
	{Subject: api.EndpointArchive, Way: Ask, What: "archiving", Roles: []Role{Admin}},
	{Subject: api.EndpointCertify, Way: Ask, What: "certify the key that signs receipts", Roles: []Role{Service}},
	{Subject: api.EndpointDesks, Way: Ask, What: "which desks have a screen", Roles: []Role{Desk, Regulator, Admin, Service}},
}

// Route maps a subject of a client to that of the services.
type Route struct {
	Way    Way
	Local  string // as the client sees it
	Remote string // as the services or the engine see it
}

// Routes returns the routes that the line gives an identity in a realm.
func (p Permit) Routes(who Identity, realm event.Realm) (out []Route) {
	if !slices.Contains(p.Roles, who.Role) {
		return nil
	}
	if p.Engine != "" {
		for _, screen := range who.Screens {
			consumer := api.ScreenConsumer(who.ID, screen)
			local := strings.Replace(p.own(who), "*", consumer, 1)
			remote := strings.Replace(p.Engine, "*", consumer, 1)
			out = append(out, Route{p.Way, realm.WireScreen(local), realm.WireScreen(remote)})
		}
		return out
	}
	local := p.own(who)
	if p.Way == Hear {
		return []Route{{p.Way, realm.Wire(local), realm.Wire(local)}}
	}
	return []Route{{p.Way, realm.Wire(local), realm.Wire(who.Subject(local))}}
}

// Export returns the subject that Routes lead to, for any identity.
func (p Permit) Export(realm event.Realm) string {
	switch {
	case p.Engine != "":
		return realm.WireScreen(p.Engine)
	case p.Way == Hear:
		return realm.Wire(p.Subject)
	}
	return realm.Wire(AskedBy(p.Subject))
}

// own returns the subject with the caller's token for its first wildcard, unless it is
// the engine's own.
func (p Permit) own(who Identity) string {
	if p.Subject == p.Engine {
		return p.Subject
	}
	return strings.Replace(p.Subject, "*", event.Token(who.ID), 1)
}

// isOwn reports whether door is own's subject for a token, without building it: it runs
// for every request.
func (p Permit) isOwn(token, door string) bool {
	before, after, wild := strings.Cut(p.Subject, "*")
	if !wild {
		return door == p.Subject
	}
	rest, ok := strings.CutPrefix(door, before)
	if !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, token)
	return ok && rest == after
}

// May reports whether the identity may use a door in a way. Callers of a server without
// identities may do everything.
func (i Identity) May(way Way, door string) bool {
	if i.Role == Trial {
		return true
	}
	token := event.Token(i.ID)
	return slices.ContainsFunc(Permits, func(p Permit) bool {
		return p.Way == way && p.Engine == "" && slices.Contains(p.Roles, i.Role) && p.isOwn(token, door)
	})
}

// Table renders the permission table for the administrator's handbook.
func Table() string {
	var b strings.Builder
	b.WriteString("| subject | may | operator | desk | regulator | admin |\n|---|---|---|---|---|---|\n")
	for _, p := range Permits {
		b.WriteString("| `" + strings.ReplaceAll(p.Subject, "|", "\\|") + "` | " + p.What + " |")
		for _, r := range Roles {
			cell := ""
			if slices.Contains(p.Roles, r) {
				cell = string(p.Way)
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}
