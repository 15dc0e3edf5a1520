package archtest

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// room lists which of our packages a package may import. A path that ends in * matches
// every package of a folder; packages matched by "services/*" may not import each other.
type room struct {
	path    string
	allowed []string
	tests   []string // what its tests may also import, besides the package itself
}

// rooms is the direction of imports: cmd, cli, app, services, bus, event, schemas. The
// packages beside the bus (statute, register, evidence, interchange, identity, httpedge)
// do not know it.
var rooms = []room{
	{"schemas", nil, nil},
	{"internal/fault", list("internal/printable"), nil},
	{"internal/clock", nil, nil},
	{"internal/share", nil, nil},
	{"internal/logging", list("internal/printable"), nil},
	{"internal/private", list("internal/printable"), nil},
	{"internal/printable", nil, nil},
	{"internal/evidence", list("internal/private"), list("internal/codectest")},
	{"internal/evidence/export", list("internal/evidence internal/private"), list("internal/codectest")},
	{"internal/evidence/page", list("internal/evidence internal/evidence/export internal/printable"), list("internal/codectest internal/event")},
	{"internal/tally", nil, nil},
	{"internal/listener", list("internal/clock internal/tally"), nil},
	{"internal/evidence/interop", nil, list("internal/evidence")}, // a module of its own
	{"internal/codectest", nil, nil},                              // for tests
	{"internal/event", list("internal/evidence internal/fault"), list("internal/codectest")},
	{"internal/api", list("internal/event internal/evidence internal/fault internal/printable"), list("internal/codectest")},
	{"internal/cloudevent", list("internal/document internal/event internal/evidence internal/fault schemas"), list("internal/codectest")},
	{"internal/document", list("internal/fault internal/printable"), list("schemas")},
	{"internal/statute/calendar", list("internal/document internal/event internal/fault schemas"), nil},
	{"internal/statute/sourcetext", nil, nil},
	{"internal/statute/site", list("internal/event"), nil},
	{"internal/statute", list("internal/statute/calendar internal/statute/site internal/statute/sourcetext internal/document internal/event internal/fault schemas"), list("internal/codectest")},
	{"internal/register", list("internal/clock internal/document internal/event internal/fault internal/statute internal/statute/calendar schemas"), list("internal/codectest")},
	{"internal/grading", list("internal/event internal/fault internal/register internal/statute internal/statute/calendar"), list("internal/cloudevent schemas")},
	{"internal/interchange", list("internal/event internal/fault"), list("internal/cloudevent")},
	{"internal/identity", list("internal/api internal/event"), nil},
	{"internal/httpedge", list("internal/event internal/fault internal/identity internal/listener internal/printable internal/share"), nil},
	{"internal/natsd", list("internal/clock internal/event internal/fault internal/listener internal/printable internal/private internal/tally"), list("internal/bus internal/bus/bustest")},
	{"internal/bus", list("internal/bus/agenda internal/clock internal/api internal/event internal/evidence internal/fault internal/tally"), list("internal/bus/bustest internal/natsd")},
	{"internal/bus/agenda", list("internal/clock internal/event"), nil},
	{"internal/bus/endpoint", list("internal/bus internal/clock internal/api internal/event internal/evidence internal/fault internal/identity internal/share internal/tally"), list("internal/bus/bustest internal/natsd")},
	{"internal/bus/bustest", list("internal/bus internal/bus/endpoint internal/clock internal/api internal/event internal/natsd"), nil},
	{"internal/client", list("internal/clock internal/api internal/cloudevent internal/event internal/evidence internal/fault"), list("internal/bus internal/bus/endpoint internal/bus/bustest internal/natsd")},
	{"internal/credential", list("internal/natsd internal/bus internal/bus/endpoint internal/clock internal/api internal/event internal/evidence internal/identity internal/private"), list("internal/codectest")},
	{"services", nil, nil},
	{"services/ledger",
		list("services/ledger/* services/ledger/index/extract internal/api internal/bus internal/bus/endpoint internal/clock internal/event internal/evidence internal/fault internal/httpedge internal/identity internal/private internal/statute internal/tally"),
		list("internal/bus/bustest internal/natsd schemas")},
	{"services/ledger/audit",
		list("internal/api internal/bus internal/bus/endpoint internal/clock internal/event internal/evidence internal/fault internal/private internal/statute"),
		list("internal/bus/bustest internal/natsd services/ledger/ledgertest")},
	{"services/ledger/index", list("services/ledger/index/* internal/api internal/event internal/fault internal/identity internal/private"), list("services/ledger/ledgertest internal/evidence")},
	{"services/ledger/index/extract", list("services/ledger/index/title internal/api internal/event"), list("services/ledger/ledgertest")},
	{"services/ledger/index/title", nil, nil},
	{"services/ledger/index/postings", nil, nil},
	{"services/ledger/ledgertest", list("internal/api internal/event internal/identity"), nil},
	{"services/*",
		list("internal/bus internal/bus/endpoint internal/clock internal/api internal/cloudevent internal/document internal/event internal/evidence internal/fault internal/grading internal/httpedge internal/identity internal/printable internal/private internal/register internal/share internal/statute internal/tally schemas"),
		list("internal/bus/bustest internal/codectest internal/natsd")},
	{"internal/app",
		list("services/* internal/bus internal/bus/endpoint internal/clock internal/credential internal/api internal/cloudevent internal/event internal/evidence internal/fault internal/grading internal/httpedge internal/identity internal/listener internal/natsd internal/printable internal/private internal/register internal/share internal/statute internal/tally schemas"),
		list("internal/bus/bustest internal/client internal/interchange")},
	{"cmd/tocsin-verify", list("internal/evidence internal/evidence/export internal/evidence/page internal/printable internal/private"), nil},
	{"cmd/tocsin/interop", nil, nil}, // a module of its own
	{"cmd/tocsin", list("internal/cli"), nil},
	{"internal/cli/render", list("internal/api internal/event internal/evidence internal/fault internal/printable"), list("internal/cli/render/rendertest")},
	{"internal/cli/render/rendertest", list("internal/api internal/event"), nil},
	{"internal/cli/command", list("internal/cli/render internal/app internal/client internal/clock internal/credential internal/api internal/event internal/grading internal/printable"), nil},
	{"internal/cli/logcmd",
		list("internal/cli/render internal/cli/command internal/client internal/clock internal/api internal/event internal/evidence internal/evidence/export internal/evidence/page internal/printable internal/private internal/statute"),
		list("internal/natsd")},
	{"internal/cli/statutecmd",
		list("internal/cli/render internal/cli/command internal/app internal/client internal/clock internal/api internal/event internal/evidence internal/evidence/export internal/grading internal/statute"),
		list("schemas")},
	{"internal/cli",
		list("internal/cli/render internal/cli/command internal/cli/logcmd internal/cli/statutecmd internal/app internal/client internal/clock internal/credential internal/api internal/cloudevent internal/event internal/fault internal/grading internal/identity internal/interchange internal/logging internal/printable internal/statute"),
		list("internal/cli/render/rendertest internal/bus internal/bus/endpoint internal/bus/bustest internal/evidence internal/evidence/export internal/evidence/page internal/natsd internal/register schemas")},
	{"internal/bench/peers", list("internal/bus internal/bus/endpoint internal/client internal/clock internal/api internal/event internal/natsd schemas"), nil}, // a module of its own
	{"internal/archtest", nil, nil},
}

func list(s string) []string { return strings.Fields(s) }

// imports checks every import of our packages against the rooms.
func imports(t *Tree) (faults []string) {
	reported := map[string]bool{}
	for _, f := range t.Files {
		r, ok := roomOf(f.Dir())
		if !ok {
			if !reported[f.Dir()] {
				faults = append(faults, f.Dir()+": no room for this package in internal/archtest/imports.go: say there what it may import")
			}
			reported[f.Dir()] = true
			continue
		}
		allowed := r.allowed
		if f.Test {
			allowed = slices.Concat(r.allowed, r.tests, []string{f.Dir()})
		}
		for _, spec := range f.AST.Imports {
			pkg, ok := strings.CutPrefix(unquote(spec.Path.Value), t.Module+"/")
			if ok && !matchesAny(allowed, pkg) {
				faults = append(faults, t.at(spec, "%s may not import %s; it may import: %s", r.path, pkg, strings.Join(allowed, ", ")))
			}
		}
	}
	return faults
}

// roomOf finds a package's room, by its exact path before a pattern.
func roomOf(dir string) (room, bool) {
	for _, r := range rooms {
		if r.path == dir {
			return r, true
		}
	}
	for _, r := range rooms {
		if ok, _ := path.Match(r.path, dir); ok {
			return r, true
		}
	}
	return room{}, false
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, pkg)
		return ok
	})
}

// engineModules are the modules that talk to NATS; engineRooms may use them.
var (
	engineModules = list("github.com/nats-io/ github.com/synadia-io/")
	engineRooms   = list("internal/bus internal/bus/* internal/natsd internal/event internal/client internal/credential internal/app internal/cli internal/cli/command internal/bench/peers")
)

// engine keeps NATS out of the packages beside or above the bus: services see the bus,
// and statute, register, interchange and httpedge do not. Tests may act as a foreign
// client.
func engine(t *Tree) (faults []string) {
	for _, f := range t.Files {
		if f.Test || matchesAny(engineRooms, f.Dir()) {
			continue
		}
		for _, spec := range f.AST.Imports {
			name := unquote(spec.Path.Value)
			if slices.ContainsFunc(engineModules, func(m string) bool { return strings.HasPrefix(name, m) }) {
				faults = append(faults, t.at(spec, "%s imports %s; only these may: %s", f.Dir(), name, strings.Join(engineRooms, ", ")))
			}
		}
	}
	return faults
}

func unquote(literal string) string {
	s, err := strconv.Unquote(literal)
	if err != nil {
		return literal // the parser has seen to it that this cannot be
	}
	return s
}
