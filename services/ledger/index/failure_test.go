package index

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndex_StaysInItsFolder opens indexes under paths with characters that are special
// to SQLite, a URI or a shell.
func TestIndex_StaysInItsFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a?b", "a#b", "a%20b", "a%00", "?", "with space", `"quoted'`, "数据", "[x]*", "file:a", "a&mode=memory", ":memory:"} {
		for _, dir := range []string{name, filepath.Join(t.TempDir(), name)} {
			x, err := Open(t.Context(), dir)
			require.NoError(t, err, dir)
			require.NoFileExists(t, filepath.Join(dir, "index.sqlite")+shmSuffix, "a file that is mapped can end the process")
			for _, suffix := range []string{"", walSuffix} {
				info, err := os.Stat(filepath.Join(dir, "index.sqlite") + suffix)
				require.NoError(t, err, dir)
				require.Equal(t, os.FileMode(0o600), info.Mode(), "%s: others of the machine may not read it", dir)
			}
			require.NoError(t, x.Close())
			found, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			require.Len(t, found, 1, "nothing is made beside the folder")
			require.NoError(t, os.RemoveAll(dir))
		}
	}
}
