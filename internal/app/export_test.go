package app

import (
	"context"
	"slices"
	"testing"

	"github.com/tocsin-project/tocsin/internal/bus"
)

// AddRole adds a service to the table until the test ends.
func AddRole(t *testing.T, name string, run func(context.Context, *bus.Bus) error) {
	before := roles
	t.Cleanup(func() { roles = before })
	roles = append(slices.Clone(before), role{name, func(r *realm, ctx context.Context) error { return run(ctx, r.bus) }, true, nil})
}
