package statute

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/schemas"
)

func TestPack_HasEveryMemberOfItsSchema(t *testing.T) {
	t.Parallel()
	schema, err := fs.ReadFile(schemas.Statutes, "pack.v1.json")
	require.NoError(t, err)
	codectest.Schema(t, schema, "", Pack{})
	codectest.Schema(t, schema, "bilingual", Text{})
	codectest.Schema(t, schema, "criterion", Criterion{}, "when")
	codectest.Schema(t, schema, "lineScope", lineScope{})
	codectest.Schema(t, schema, "duty", DutyRule{}, "for")
	codectest.Schema(t, schema, "followUp", FollowUp{}, "for")
	codectest.Schema(t, schema, "namedFact", NamedFact{})
}
