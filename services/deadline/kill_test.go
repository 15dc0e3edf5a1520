package deadline

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/bus/bustest"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

const (
	// killedFolder is where the child of TestKilled works.
	killedFolder = "TOCSIN_KILLED_FOLDER"
	killedClocks = 200
	killedBy     = 60 // minutes, the target of each
)

// killedID is the escalation of one clock.
func killedID(i int) string { return event.EscalationID("hall", "mill", fmt.Sprint("i", i), "1") }

// beKilled is TestKilled in the process that is killed: it starts clocks until then.
func beKilled(t *testing.T, dir string) {
	w := raise(t, dir, nine)
	by := at(killedBy)
	var all []event.Record
	for i := range killedClocks {
		r, err := event.NewRecord("incident.escalated."+killedID(i), nine, "", event.Escalated{
			ID: killedID(i), Desk: "hall", Operator: "mill", Incident: fmt.Sprint("i", i), Revision: 1, ReportedAt: nine, AcknowledgeBy: &by, Duties: []event.Duty{},
		})
		require.NoError(t, err)
		all = append(all, r)
	}
	stored, err := w.env.Bus.Commit(t.Context(), all)
	require.NoError(t, err)
	w.until("the next start does not read their records again", func() bool {
		through, err := w.env.Bus.Position(t.Context(), Name)
		return err == nil && through >= stored[len(stored)-1].Sequence
	})
	fmt.Fprintln(os.Stdout, "set")
	w.move(killedBy + 1) // it is killed while they come due
	<-t.Context().Done()
}

// TestKilled: after kill -9 while clocks come due, and damage to TIMERS meanwhile, each
// target that passed has exactly one record after the next start.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killedFolder); dir != "" {
		beKilled(t, dir)
		return
	}
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, dir string){
		"whole":   func(*testing.T, string) {},
		"purged":  func(t *testing.T, dir string) { t.Run("purge", func(t *testing.T) { purgeTimers(t, dir) }) },
		"removed": removeTimers,
		"damaged": damageTimers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			killChild(t, dir)
			harm(t, dir)
			w := raise(t, dir, at(killedBy+1))
			w.until("every clock has its record", func() bool {
				subjects, err := w.env.Bus.Subjects(t.Context(), event.AllOverdue)
				return err == nil && len(subjects) >= killedClocks
			})
			w.settles()
			var want, got []string
			for i := range killedClocks {
				want = append(want, killedID(i))
			}
			for _, o := range records[event.Overdue](t, w.env, event.AllOverdue) {
				got = append(got, o.Escalation)
				require.True(t, o.AcknowledgeBy.Equal(at(killedBy)))
			}
			require.ElementsMatch(t, want, got)
		})
	}
}

// killChild runs the child until its timers are set, and kills it.
func killChild(t *testing.T, dir string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), killedFolder+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines, ready := bufio.NewScanner(out), false
	for !ready && lines.Scan() {
		ready = lines.Text() == "set"
	}
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait(), "it was killed")
	require.True(t, ready, "the child ended before its timers were set")
}

// purgeTimers empties the stream of timers; the server that it starts ends with the test.
func purgeTimers(t *testing.T, dir string) {
	env := bustest.StartIn(t, dir, clock.NewManual(nine))
	s, err := bustest.JetStream(t, env).Stream(t.Context(), event.StreamTimers)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSubject("timer.>")))
}

// timerFiles are the blocks of the stream of timers.
func timerFiles(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".blk" && filepath.Base(filepath.Dir(filepath.Dir(path))) == event.StreamTimers {
			out = append(out, path)
		}
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

func removeTimers(t *testing.T, dir string) {
	for _, file := range timerFiles(t, dir) {
		require.NoError(t, os.Remove(file))
	}
}

// damageTimers cuts each block in half and overwrites the middle of the rest.
func damageTimers(t *testing.T, dir string) {
	for _, file := range timerFiles(t, dir) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		raw = raw[:len(raw)/2]
		for i := len(raw) / 3; i < len(raw)*2/3; i++ {
			raw[i] ^= 0x5a
		}
		require.NoError(t, os.WriteFile(file, raw, 0o600))
	}
}
