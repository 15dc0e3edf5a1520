package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// The server's remarks on a lasting outage are in the user's language, on the receipt and
// at the desk.
func TestRemarks_InChinese(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	receipt := event.Receipt{Status: event.StatusAccepted, ReceivedAt: &at, Record: 1, Warnings: []fault.Detail{{Path: "$.data.facts.outage", Message: event.LastsOn}}}
	reason := "report" + event.ClocksGoOn([]string{"facts.outage", "facts.defacement"})
	show := func(lang string, print func(*environment)) string {
		var b bytes.Buffer
		print(&environment{out: printable.Writer{Out: &b}, raw: &b, lang: lang})
		return b.String()
	}
	for _, print := range []func(*environment){
		func(e *environment) { e.receipt(&receipt) },
		func(e *environment) { e.change(event.Change{Kind: event.ChangeUnchanged, Reason: reason}) },
		func(e *environment) {
			e.change(event.Change{Kind: event.ChangeRaised, From: event.General, To: event.Major, Reason: reason})
		},
	} {
		require.Contains(t, show("en", print), "has no end, and its clock goes on")
		zh := show("zh", print)
		require.Contains(t, zh, "没有结束时间")
		require.Contains(t, zh, "until")
		require.NotContains(t, zh, "clock goes on")
	}
}

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

// JSON that a person may read on a terminal has no invisible characters, and means the
// same.
func TestJSON_HidesNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	title := "停电\u202etxt\u200b\u009b\U000e0041\x1b"
	require.NoError(t, (&environment{raw: &b}).json(map[string]string{"title": title}))
	for _, r := range b.String() {
		require.False(t, printable.Hidden(r) && r != '\n', "%U", r)
	}
	var back map[string]string
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, title, back["title"])
}
