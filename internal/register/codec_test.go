package register_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/schemas"
)

func TestRegister_HasEveryMemberOfItsSchema(t *testing.T) {
	t.Parallel()
	schema, err := fs.ReadFile(schemas.Registers, "register.v1.json")
	require.NoError(t, err)
	codectest.Schema(t, schema, "", register.Register{})
	codectest.Schema(t, schema, "name", register.Name{})
	codectest.Schema(t, schema, "operator", register.Operator{})
	codectest.Schema(t, schema, "facility", register.Facility{}, "classified") // which can only be false
	codectest.Schema(t, schema, "desk", register.Desk{})
}
