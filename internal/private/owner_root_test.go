//go:build unix && root

package private_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/private"
)

const service = 65532 // user of the container's server

// Files that root adds to a folder of the server's user belong to that user.
func TestOwnerOfNewFiles_AddedByRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chown(dir, service, service))
	requireOneOwner(t, dir)
	// A file with another name is not given away: it may be a hard link to a file of
	// root's.
	foreign := filepath.Join(t.TempDir(), "foreign")
	require.NoError(t, os.WriteFile(foreign, []byte("theirs"), 0o600))
	linked := filepath.Join(dir, "identity", "linked")
	require.NoError(t, os.Link(foreign, linked))
	_, err := private.Lock(linked)
	require.ErrorContains(t, err, "hard link")
	require.EqualValues(t, 0, ownerOf(t, foreign))
	// A folder of one user below another user's is safe for neither.
	require.NoError(t, os.Chown(dir, service+1, service+1))
	err = private.Check(filepath.Join(dir, "identity"))
	require.ErrorContains(t, err, "chown 65532 "+dir)
	mend(t, err)
	require.NoError(t, private.Check(filepath.Join(dir, "identity")))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.NoError(t, os.Lchown(link, service, service))
	require.ErrorContains(t, private.Check(link), "chown -h 0 "+link)
	require.ErrorContains(t, private.MakeFolder(filepath.Join(link, "made")), "chown -h 0 "+link)
	require.NoDirExists(t, filepath.Join(dir, "made"), "nothing is made behind the link of another user")
}
