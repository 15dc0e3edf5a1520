package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// The calls that no test makes. A test that is skipped passes without a test; and that
// nothing happened within a time does not show that nothing happens: wait for a marker
// that would come after it.
var (
	skippers  = list("Skip Skipf SkipNow")
	absences  = list("Never Neverf")
	compared  = list("Less Lessf LessOrEqual LessOrEqualf WithinDuration WithinDurationf InDelta InDeltaf")
	awaited   = list("Eventually Eventuallyf EventuallyWithT EventuallyWithTf")
	subsecond = list("Millisecond Microsecond")
)

// sleepers are the test files that sleep, besides benchmarks, each with its reason. None
// of them sleeps to see that nothing happens.
var sleepers = map[string]string{
	"internal/app/greedy_test.go":            "paces a load, and samples memory",
	"internal/app/hostile_test.go":           "paces a load, and asks again",
	"internal/app/identity_signed_test.go":   "spreads senders",
	"internal/app/world_test.go":             "asks again",
	"internal/bus/feed_test.go":              "is a slow reader",
	"internal/cli/diskfull_slow_test.go":     "paces a load",
	"internal/cli/documents_test.go":         "asks again",
	"internal/cli/kill_test.go":              "spreads reports over the kills",
	"internal/cli/overdue_test.go":           "kills the server between due times",
	"internal/client/client_test.go":         "is a slow server",
	"internal/natsd/blocks_upstream_test.go": "asks again",
	"services/ledger/audit/kill_test.go":     "kills at random times",
	"services/ledger/scale_test.go":          "has benchmarks only",
}

// tests finds tests that may pass without having tested, or fail because a machine is
// slow.
func tests(t *Tree) (faults []string) {
	sleeping := map[string]bool{}
	for _, f := range t.Files {
		if !f.Test {
			continue
		}
		bench := strings.HasSuffix(f.Path, "_bench_test.go")
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "Test") && n.Recv == nil {
					faults = append(faults, t.earlyReturns(n)...)
				}
			case *ast.CallExpr:
				on, name := callee(n)
				switch {
				case slices.Contains(skippers, name) && len(on) <= 2:
					faults = append(faults, t.at(n, "skips a test: let it fail, or give its file a build tag"))
				case on == "time" && name == "Sleep" && !bench:
					if sleeping[f.Path] = true; sleepers[f.Path] == "" {
						faults = append(faults, t.at(n, "sleeps: wait for what has to happen"))
					}
				case on != "require" && on != "assert" || bench:
				case slices.Contains(absences, name):
					faults = append(faults, t.at(n, "%s.%s waits to see that nothing happens: wait for a marker that would come after it", on, name))
				case slices.Contains(compared, name) && slices.ContainsFunc(n.Args, isSubsecond),
					slices.Contains(awaited, name) && len(n.Args) > 2 && isSubsecond(n.Args[2]):
					faults = append(faults, t.at(n, "%s.%s has a bound below a second, which a busy machine exceeds: measure it in a benchmark", on, name))
				}
			}
			return true
		})
	}
	for _, path := range slices.Sorted(maps.Keys(sleepers)) {
		if !sleeping[path] && t.has(path) {
			faults = append(faults, fmt.Sprintf("%s: sleeps no more: remove it from the list", path))
		}
	}
	return faults
}

func (t *Tree) has(path string) bool {
	return slices.ContainsFunc(t.Files, func(f *File) bool { return f.Path == path })
}

// callee returns the package or variable of a call, and the name that is called.
func callee(c *ast.CallExpr) (on, name string) {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if x, ok := sel.X.(*ast.Ident); ok {
		on = x.Name
	}
	return on, sel.Sel.Name
}

// isSubsecond reports whether an expression is made of a unit of time below a second.
func isSubsecond(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			x, of := sel.X.(*ast.Ident)
			found = found || of && x.Name == "time" && slices.Contains(subsecond, sel.Sel.Name)
		}
		return true
	})
	return found
}

// earlyReturns finds conditions under which a test ends without having required anything.
func (t *Tree) earlyReturns(test *ast.FuncDecl) (faults []string) {
	ast.Inspect(test.Body, func(n ast.Node) bool {
		if _, nested := n.(*ast.FuncLit); nested {
			return false // it may be a property, which does not hold for every input
		}
		branch, ok := n.(*ast.IfStmt)
		if !ok || len(branch.Body.List) != 1 {
			return true
		}
		if _, returns := branch.Body.List[0].(*ast.ReturnStmt); returns {
			faults = append(faults, t.at(branch, "%s returns early, and passes without a test", test.Name.Name))
		}
		return true
	})
	return faults
}
