package statute

import (
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// TestReadme_ExamplePack checks the whole pack that the documentation shows.
func TestReadme_ExamplePack(t *testing.T) {
	raw, err := os.ReadFile("../../schemas/statutes/README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```yaml\n(id: example-telecom\n.*?)^```").FindSubmatch(raw)
	require.Len(t, blocks, 2, "the whole pack is a block of its own")
	s, err := Load(fstest.MapFS{"example-telecom.yaml": &fstest.MapFile{Data: blocks[1]}})
	require.NoError(t, err)
	require.Empty(t, s.Check())
}
