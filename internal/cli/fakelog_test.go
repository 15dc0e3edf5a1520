package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// fakeLog is a log without a server: real records, tree and key, and the endpoints that a
// command calls.
type fakeLog struct {
	*fake
	key     *evidence.Key
	dir     evidence.Dir
	tree    *evidence.Tree
	records []evidence.Record // one without a subject was removed
	cp      evidence.Checkpoint
	damage  []event.Damage
	pages   int    // of records that were asked for
	onState func() // before the state is told
}

// pageOf is how many records a page of the fake log has.
const pageOf = 7

func startFakeLog(t *testing.T) *fakeLog {
	t.Helper()
	f := &fakeLog{fake: startFake(t), onState: func() {}}
	dir := t.TempDir()
	var err error
	f.key, err = evidence.OpenKey(filepath.Join(dir, "key"), "tocsin.invalid/test")
	require.NoError(t, err)
	f.dir = evidence.Dir(filepath.Join(dir, "log"))
	f.tree, err = evidence.OpenTree(string(f.dir), 0)
	require.NoError(t, err)
	serve(f.fake, api.EndpointLog, func(struct{}) any { return f.state() })
	serve(f.fake, api.EndpointTiles, f.tiles)
	serve(f.fake, api.EndpointRecords, f.recordsOf)
	serve(f.fake, api.EndpointProve, f.prove)
	return f
}

// add stores a record in its stored form.
func (f *fakeLog) add(subject string, body any) uint64 {
	f.t.Helper()
	r, err := event.NewRecord(subject, rendertest.Noon, "", body)
	require.NoError(f.t, err)
	m := r.Message(event.Real)
	stored := evidence.Record{Sequence: uint64(len(f.records) + 1), Subject: m.Subject, Header: m.Header, Body: m.Data}
	f.records = append(f.records, stored)
	require.NoError(f.t, f.tree.Append(stored.Entry()))
	return stored.Sequence
}

// sign makes a checkpoint of all records.
func (f *fakeLog) sign() {
	f.t.Helper()
	require.NoError(f.t, f.tree.Write())
	var err error
	f.cp, err = f.key.Sign(f.tree.Size(), f.tree.Root())
	require.NoError(f.t, err)
}

// remove removes a record by order.
func (f *fakeLog) remove(record uint64) {
	f.t.Helper()
	entry := f.records[record-1].Entry()
	f.add(event.RemovedSubject(record), event.Removal{
		First: record, Entries: []evidence.Hash{entry}, Basis: event.BasisOrder, Order: "order <7>", Officer: "duty-officer", At: rendertest.Noon,
		Operator: "grid-east", Incident: "inc-1", Type: event.KindAccepted,
	})
	f.records[record-1].Subject = ""
}

// archive removes records by age, and keeps those in between that are needed.
func (f *fakeLog) archive(first uint64, gone ...bool) {
	f.t.Helper()
	removal := event.Removal{First: first, Basis: event.BasisRetention, Export: "0a", Officer: "archivist", At: rendertest.Noon}
	for i, gone := range gone {
		var entry evidence.Hash // the zero hash: the record stays
		if gone {
			entry = f.records[first-1+uint64(i)].Entry()
		}
		removal.Entries = append(removal.Entries, entry)
	}
	f.add(event.RemovedSubject(first), removal)
	for i, gone := range gone {
		if gone {
			f.records[first-1+uint64(i)].Subject = ""
		}
	}
}

func (f *fakeLog) state() api.LogState {
	f.onState()
	return api.LogState{Checkpoint: f.cp.Note, Key: f.key.Verifier(), Size: f.cp.Size, Head: uint64(len(f.records)), Damage: f.damage, Keep: "P6M"}
}

func (f *fakeLog) tiles(q api.TilesRequest) any {
	a := api.TilesAnswer{}
	for _, path := range q.Paths {
		tile, err := f.dir.Tile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.t.Error(err)
		}
		a.Tiles = append(a.Tiles, tile)
	}
	return a
}

func (f *fakeLog) recordsOf(q api.RecordsRequest) any {
	f.pages++
	a := api.RecordsAnswer{Lines: []string{}, First: q.From, Last: min(q.To, uint64(len(f.records)))}
	for n := a.First; n <= a.Last; n++ {
		r := f.records[n-1]
		if r.Subject == "" || !matches(r.Subject, q.Subjects) {
			continue
		}
		if len(a.Lines) == pageOf {
			a.Next = n
			break
		}
		a.Lines = append(a.Lines, string(r.Line()))
	}
	return a
}

func matches(subject string, patterns []string) bool {
	for _, p := range patterns {
		if strings.HasPrefix(subject, strings.TrimSuffix(p, "*")) {
			return true
		}
	}
	return len(patterns) == 0
}

func (f *fakeLog) prove(q api.ProveRequest) any {
	if q.Size > 0 {
		root, err := evidence.Root(f.dir, q.Size)
		path, err2 := evidence.ProveConsistency(f.dir, q.Size, f.cp.Size)
		if err != nil || err2 != nil {
			f.t.Error(err, err2)
		}
		return api.ProveAnswer{Proof: evidence.Consistency{Size: q.Size, Root: root, Path: path, Checkpoint: f.cp.Note}.String()}
	}
	r := f.records[q.Record-1]
	if r.Subject == "" {
		return api.ProveAnswer{Errors: []fault.Detail{{Path: "$.record", Message: "was removed by order order <7>"}}}
	}
	path, err := evidence.ProveInclusion(f.dir, f.cp.Size, q.Record-1)
	if err != nil {
		f.t.Error(err)
	}
	return api.ProveAnswer{Proof: evidence.Proof{Record: r, Path: path, Checkpoint: f.cp.Note}.String()}
}

// rules stores a pack or a register and returns its hash.
func (f *fakeLog) rules(kind, id, text string) string {
	sum := sha256.Sum256([]byte(text))
	sha := hex.EncodeToString(sum[:])
	f.add(event.RulesSubject(sha), event.RulesBody{Kind: kind, ID: id, SHA256: sha, Text: text})
	return sha
}

// story stores an incident: a report, a decision with its rules, and an escalation, which
// it returns.
func (f *fakeLog) story(incident, title string, rules event.Rules) event.Escalated {
	f.t.Helper()
	f.add(event.AcceptedSubject("grid-east", incident, event.SourceOf("grid-east"), "r1"), event.Accepted{Operator: "grid-east", Incident: incident, Report: "r1"})
	f.add(event.GradedSubject("grid-east", incident, 1), event.Graded{Operator: "grid-east", Incident: incident, Revision: 1, Rules: rules})
	report, err := json.Marshal(map[string]string{"title": title})
	require.NoError(f.t, err)
	x := event.Escalated{
		ID: event.EscalationID("desk-a", "grid-east", incident, "1"), Desk: "desk-a", Operator: "grid-east", Incident: incident, Revision: 1,
		Grade: event.Major, Change: event.Change{Kind: event.ChangeFirst}, From: "grid-east", Act: event.ActReport, DueAt: rendertest.After(30),
		ReportedAt: *rendertest.After(40), Late: true, AcknowledgeBy: rendertest.After(60), Report: report, Rules: rules,
		Duties: []event.Duty{
			{Desk: "desk-a", Act: event.ActReport, From: "grid-east", DueAt: rendertest.After(30), LateBy: rendertest.Minutes(10), Citation: "Law, art. 4 & 5", Confidence: event.ConfidenceUnverified},
			{Desk: "desk-a", Act: event.ActReport, From: "grid-east", Citation: "Other law, art. 1", Confidence: event.ConfidenceText},
		},
	}
	f.add("incident.escalated."+x.ID, x)
	return x
}

// acknowledge stores an acknowledgement.
func (f *fakeLog) acknowledge(x event.Escalated, at time.Time) uint64 {
	return f.add(event.AcknowledgedSubject(x.ID), event.Acknowledgement{Escalation: x.ID, Officer: "post <b>", At: at, AcknowledgeBy: x.AcknowledgeBy})
}
