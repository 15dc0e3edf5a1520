package render

import (
	"bytes"
	"encoding/json"
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
	receipt := event.Receipt{Status: event.StatusAccepted, ReceivedAt: &at, Record: 1, Warnings: []fault.Detail{{Path: "$.data.facts.outage", Message: event.OngoingWarning}}}
	reason := "report" + event.OngoingNote([]string{"facts.outage", "facts.defacement"})
	show := func(lang string, print func(*Printer)) string {
		var b bytes.Buffer
		print(&Printer{Out: printable.Writer{Out: &b}, Raw: &b, Lang: lang})
		return b.String()
	}
	for _, print := range []func(*Printer){
		func(p *Printer) { p.Receipt(&receipt) },
		func(p *Printer) { p.change(event.Change{Kind: event.ChangeUnchanged, Reason: reason}) },
		func(p *Printer) {
			p.change(event.Change{Kind: event.ChangeRaised, From: event.General, To: event.Major, Reason: reason})
		},
	} {
		require.Contains(t, show("en", print), "has no end, and its clock goes on")
		zh := show("zh", print)
		require.Contains(t, zh, "没有结束时间")
		require.Contains(t, zh, "until")
		require.NotContains(t, zh, "clock goes on")
	}
}

// JSON that a person may read on a terminal has no invisible characters, and means the
// same.
func TestJSON_HidesNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	title := "停电\u202etxt\u200b\u009b\U000e0041\x1b"
	require.NoError(t, (&Printer{Raw: &b}).JSON(map[string]string{"title": title}))
	for _, r := range b.String() {
		require.False(t, printable.Hidden(r) && r != '\n', "%U", r)
	}
	var back map[string]string
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, title, back["title"])
}
