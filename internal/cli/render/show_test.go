package render

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// printed returns what is printed for people.
func printed(lang string, print func(*Printer)) string {
	var b bytes.Buffer
	print(&Printer{Out: printable.Writer{Out: &b}, Raw: &b, Lang: lang})
	return b.String()
}

func TestLengths(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		12 * time.Minute: {"12分钟", "12m"}, time.Hour + 5*time.Minute + 59*time.Second: {"1小时5分钟", "1h5m"},
		49*time.Hour + time.Minute: {"2天1小时", "2d1h"}, 90 * time.Second: {"1分钟30秒", "1m30s"},
		1500 * time.Millisecond: {"1秒", "1s"}, 340 * time.Millisecond: {"340毫秒", "340ms"}, 0: {"0毫秒", "0ms"},
	} {
		assert.Equal(t, want, [2]string{(&Printer{Lang: "zh"}).Length(d), (&Printer{Lang: "en"}).Length(d)})
	}
}

// A late duty shows by how much and under which article; a figure that was not read in
// the text is marked.
func TestLateness_CitesArticle(t *testing.T) {
	late := event.Duty{Desk: "hall", From: "grid-east", Act: event.ActReport, DueAt: &rendertest.Noon, LateBy: rendertest.Minutes(12), StrictDueAt: rendertest.After(-60),
		Citation: "Measures, art. 4 ¶2", Confidence: event.ConfidenceSecondary}
	r := api.EscalationRow{Escalation: "hall.grid-east.i.1", Desk: "hall", Operator: "grid-east", Incident: "i", Grade: event.Major,
		Act: event.ActReport, From: "grid-east", ReportedAt: rendertest.Noon, Late: true, Duties: []event.Duty{late}, State: api.StateOverdue}
	out := printed("en", func(p *Printer) { p.Row(r) })
	assert.Contains(t, out, "late by 12m, Measures, art. 4 ¶2 [secondary source]  strictly, from discovery: due 2026-03-01 11:00:00.000 +08:00")
	assert.Contains(t, printed("zh", func(p *Printer) { p.Row(r) }), "迟报 12分钟, Measures, art. 4 ¶2 [间接来源]")
	assert.Contains(t, printed("zh", func(p *Printer) { p.Duty(late, api.EscalationRow{}) }), "(迟报 12分钟)")
	r.Exercise = true
	assert.True(t, strings.HasPrefix(printed("en", func(p *Printer) { p.Row(r) }), "[drill] "))

	receipt := event.Receipt{Status: event.StatusAccepted, Operator: "grid-east", Incident: "i", Report: "r", Record: 1, ReceivedAt: &rendertest.Noon, Exercise: true,
		Late:     []event.Lateness{{Statute: "m", Citation: "Measures, art. 4 ¶2", Confidence: event.ConfidenceInterpretation, DueAt: *rendertest.After(-12), By: *rendertest.Minutes(12)}},
		Warnings: []fault.Detail{{Path: "$.time", Message: "is a day off"}}}
	out = printed("en", func(p *Printer) { p.Receipt(&receipt) })
	assert.Equal(t, `accepted  grid-east/i  r  #1  2026-03-01 12:00:00.000 +08:00  [drill]
    late by 12m, Measures, art. 4 ¶2 [interpretation], by 2026-03-01 11:48:00.000 +08:00
    $.time: is a day off
`, out)
}

func TestEscalation_ShowsEverything(t *testing.T) {
	full := &event.Escalated{
		ID: "hall.grid-east.i.2", Desk: "hall", Operator: "grid-east", Incident: "i", Act: event.ActTransfer, From: "gate", ReportedAt: rendertest.Noon, Designated: true,
		Duties:     []event.Duty{{Desk: "hall", From: "gate", Act: event.ActForward, Citation: "L", Confidence: event.ConfidenceText, OnBehalf: &event.OnBehalf{Authority: "doc 7", Verified: true, Officer: "shift"}}},
		Determined: &event.Determination{Grade: event.Major, Desk: "gate", Officer: "chief", Reason: "core function lost"},
		Transfer:   &event.Transfer{From: "gate", Officer: "chief", Reason: "not ours"},
		Owed:       rendertest.Owing.Owed[1:2], PendingForwards: rendertest.Owing.PendingForwards[:1],
	}
	out := printed("en", func(p *Printer) { p.Escalation(full, api.RowOf(full, 1, nil, nil, rendertest.Noon)) })
	for _, want := range []string{
		"determined: major  gate (chief): core function lost\n", "handed on by gate (chief): not ours\n", "confirmed by shift; authority: doc 7\n",
		"owed: items cause, plan  promptly  — Law, art. 7 [unverified]\n",
		"the forward to national awaits confirmation and is sent at 2026-03-01 12:44:00.000 +08:00 as unverified; tocsin desk confirm hall grid-east/i --to national --officer POST\n",
	} {
		assert.Contains(t, out, want)
	}
	const note = "facts.outage has no end, and its clock goes on until a progress report gives it again with until"
	full.Change = event.Change{Kind: event.ChangeUnchanged, Reason: "report r-2" + event.OngoingNote([]string{"facts.outage"})}
	assert.Contains(t, printed("en", func(p *Printer) { p.Escalation(full, api.RowOf(full, 1, nil, nil, rendertest.Noon)) }), "\n    "+note+"\n")
	assert.Contains(t, printed("en", func(p *Printer) { p.storyGraded(&event.Graded{Change: full.Change}) }), note)
	for kind, want := range map[string]string{
		event.NoticeOverdue:  "annex has not acknowledged annex.o.i.1, sent at 2026-03-01 12:00:00.000 +08:00, target 2026-03-01 12:30:00.000 +08:00",
		event.NoticeAway:     "annex has had no screen since 2026-03-01 12:00:00.000 +08:00; the target of annex.o.i.1 is 2026-03-01 12:30:00.000 +08:00",
		event.NoticeReminder: "is sent at 2026-03-01 12:44:00.000 +08:00 as unverified; tocsin desk confirm annex o/i --to national",
	} {
		n := &event.Notice{Kind: kind, Desk: "annex", Escalation: "annex.o.i.1", Since: &rendertest.Noon, AcknowledgeBy: rendertest.After(30), Forward: "national", Until: rendertest.After(44)}
		row := api.EscalationRow{Operator: "o", Incident: "i", Act: event.ActNotice, Notice: n, ReportedAt: rendertest.Noon}
		assert.Contains(t, printed("en", func(p *Printer) { p.Row(row) }), want)
	}
}

func TestStory_EveryKind(t *testing.T) {
	for _, c := range []struct {
		kind string
		body any
		want string
	}{
		{event.KindElapsed, event.Elapsed{At: rendertest.Noon, Revision: 2}, "time has passed  2026-03-01 12:00:00.000 +08:00  (revision 2)"},
		{event.KindOverdue, event.Overdue{Escalation: "hall.o.i.1", Desk: "hall", AcknowledgeBy: rendertest.Noon, Next: "annex"},
			"overdue  hall  hall.o.i.1  target 2026-03-01 12:00:00.000 +08:00  on silence: annex"},
		{event.KindAway, event.Away{Desk: "hall", Since: rendertest.Noon, Escalation: "hall.o.i.1"}, "away  hall  since 2026-03-01 12:00:00.000 +08:00  hall.o.i.1"},
		{event.KindReminded, event.Reminder{To: "o", Obligation: "law.items", Items: []string{"cause"}, DueAt: rendertest.Noon, Passed: true, Citation: "L", Confidence: event.ConfidenceUnverified},
			"reminded  o: law.items cause  by 2026-03-01 12:00:00.000 +08:00  late, still owed  — L [unverified]"},
		{event.KindReminded, event.Reminder{To: "hall", Forward: "national", DueAt: rendertest.Noon}, "reminded  hall: forward → national  by 2026-03-01 12:00:00.000 +08:00"},
		{event.KindAsked, event.DeskAct{Desk: "hall", Officer: "shift", Items: []string{"cause"}, DueAt: &rendertest.Noon, Reason: "why"},
			"asked for more  hall  shift  cause  by 2026-03-01 12:00:00.000 +08:00: why"},
		{event.KindDetermined, event.DeskAct{Desk: "hall", Officer: "chief", Grade: event.Major, Reason: "why"}, "determined  hall  chief  major: why"},
		{event.KindTransferred, event.DeskAct{Desk: "hall", Officer: "chief", To: "annex"}, "handed on  hall  chief  → annex"},
		{event.KindConfirmed, event.DeskAct{Desk: "hall", Officer: "chief", To: "national"}, "forward confirmed  hall  chief  → national"},
		{event.KindClosed, event.DeskAct{Desk: "hall", Officer: "chief", Reason: "done"}, "closed  hall  chief: done"},
		{event.KindAccepted, event.Accepted{Type: event.TypeInitial, Report: "r", Late: []event.Lateness{{Citation: "L", Confidence: event.ConfidenceText, DueAt: rendertest.Noon, By: *rendertest.Minutes(3)}}},
			"received  initial  r  \n        late by 3m, L, by 2026-03-01 12:00:00.000 +08:00"},
		{event.KindRemoved, event.Removal{First: 5, Entries: make([]evidence.Hash, 1), Basis: event.BasisOrder, Order: "REF\n#6", Officer: "POST", Type: event.KindAccepted},
			"removed  #5 (0) received, by order REF #6 (POST)"},
		{event.KindRemoved, event.Removal{First: 5, Entries: []evidence.Hash{{1}, {}, {2}}, Basis: event.BasisRetention, Export: "0a", Officer: "POST", Reason: "age"},
			"removed  #5–#7 (2), by age, into the export with manifest 0a (POST): age"},
		{event.KindRemoved, event.Removal{First: 5, Entries: []evidence.Hash{{1}}, Basis: event.BasisOrder, Order: "REF", Officer: "POST", Type: event.KindEscalated},
			"removed  #5 told, by order REF (POST)"},
	} {
		raw, err := json.Marshal(c.body)
		require.NoError(t, err)
		entry := api.StoryEntry{Record: 5, Type: c.kind, At: rendertest.Noon, Body: raw}
		out := printed("en", func(p *Printer) { require.NoError(t, p.Story(entry)) })
		assert.Equal(t, "#5      2026-03-01 12:00:00.000 +08:00  "+c.want+"\n", out)
		entry.Body = jsontext.Value(`[]`)
		assert.Contains(t, printed("zh", func(p *Printer) { require.NoError(t, p.Story(entry)) }), "json", "what cannot be read is still in the story")
	}
}

var (
	literalWord = regexp.MustCompile(`\b[ep]\.Word\("([^"]+)"\)`)
	verbs       = regexp.MustCompile(`%[a-z]`)
)

// Every word that is printed exists, in both languages, with the same values.
func TestEveryWordIsThere(t *testing.T) {
	var ids []string
	files, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	below, err := filepath.Glob("../*/*.go")
	require.NoError(t, err)
	files = append(files, below...)
	for _, name := range files {
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range literalWord.FindAllStringSubmatch(string(src), -1) {
			ids = append(ids, m[1])
		}
	}
	require.Greater(t, len(ids), 100, "the words of all commands are found")
	for _, act := range []event.Act{event.ActReport, event.ActForward, event.ActNotify, event.ActCrimeNotice, event.ActUpdate, event.ActReview, event.ActTransfer, event.ActNotice} {
		ids = append(ids, string(act))
	}
	for _, kind := range []event.ObligationKind{event.OwesItems, event.OwesReport, event.OwesAnswer} {
		ids = append(ids, "owes-"+string(kind))
	}
	for _, kind := range []string{event.TypeInitial, event.TypeProgress, event.TypeFinal, event.TypeWithdrawal} {
		ids = append(ids, "type-"+strings.TrimSuffix(strings.TrimPrefix(kind, "tocsin.report."), ".v1"))
	}
	for _, clock := range []string{"discovered", "reported", "graded", "handled", "classified", "oral-notice", "ransom-paid", "stage", "latest"} {
		ids = append(ids, "after-"+clock, "clock-"+clock)
	}
	for _, role := range []string{"operator", "protection", "cyberspace", "cyberspace-office", "public-security", "sector-regulator", "communications", "cryptography", "data-regulator", "csirt", "departments", "affected-persons"} {
		ids = append(ids, "party-"+role)
	}
	for _, unit := range []string{"minute", "hour", "day", "working-day", "month"} {
		ids = append(ids, "one-"+unit, "some-"+unit)
	}
	for _, kind := range []string{event.DamageCut, event.DamageMissing, event.DamageChanged, event.DamageTree} {
		ids = append(ids, "damage-"+kind)
	}
	for _, status := range []string{event.StatusAccepted, event.StatusDuplicate, event.StatusRejected} {
		ids = append(ids, "redact-"+status)
	}
	for _, by := range api.StatsDimensions {
		ids = append(ids, "of-"+by)
	}
	ids = append(ids, event.NoticeOverdue, event.NoticeAway, event.NoticeReminder)
	for _, id := range ids {
		assert.Contains(t, words, strings.TrimSuffix(id, "-"))
	}
	for id, w := range words {
		assert.NotEmpty(t, w[0], id)
		assert.NotEmpty(t, w[1], id)
		assert.Equal(t, verbs.FindAllString(w[0], -1), verbs.FindAllString(w[1], -1), id)
	}
}
