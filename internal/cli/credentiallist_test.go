package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCredentialList_InChinese(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data[1]") // not a pattern
	do := func(args ...string) string {
		code, out, errOut := tocsin(t, "", append(args, "--data", data)...)
		require.Equal(t, exitOK, code, errOut)
		return out
	}
	do("init")
	do("credential", "add", "operator", "grid-east", "--expires", "10d")
	do("credential", "add", "regulator", "xj", "--level", "province", "--region", "650000")
	do("credential", "revoke", "regulator", "xj")
	zh := do("credential", "list", "--lang", "zh")
	for _, want := range []string{"角色", "到期时间", "运营者", "管理员", "监管", "省 650000", "已撤销", "（剩 9 天）"} {
		require.Contains(t, zh, want)
	}
	for _, not := range []string{"ROLE", "revoked", "days", "operator"} {
		require.NotContains(t, zh, not)
	}
	require.Contains(t, do("credential", "list", "--lang", "en"), "ROLE")
}

// A folder whose name looks like a pattern is searched literally: data stored there
// without identities is found.
func TestInit_InAFolderNamedLikeAPattern(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data[1]*")
	require.NoError(t, os.MkdirAll(filepath.Join(data, "nats", "jetstream", "$G", "streams", "LEDGER"), 0o700))
	code, _, errOut := tocsin(t, "", "init", "--data", data)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "was served without identities")
}
