package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/cli/render/rendertest"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

func TestProve_Record(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	v, err := evidence.NewVerifier(f.key.Verifier())
	require.NoError(t, err)

	code, out, errOut := f.run("log", "prove", "#7")
	require.Equal(t, exitOK, code, errOut)
	proof, err := evidence.ParseProof(out)
	require.NoError(t, err, "standard output is the file and nothing else")
	cp, err := proof.Verify(v)
	require.NoError(t, err)
	require.Equal(t, f.cp.Root, cp.Root)
	require.EqualValues(t, 7, proof.Record.Sequence)

	file := filepath.Join(t.TempDir(), "proof.txt")
	code, out, errOut = f.run("log", "prove", "7", "-o", file)
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "tocsin-verify --key "+f.key.Verifier()+" "+file)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, proof.String(), string(raw))

	code, out, errOut = f.run("log", "prove", "4")
	require.Equal(t, exitRefused, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "order <7>", "what was removed says by whose order")

	code, _, errOut = f.run("log", "prove", "9999")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "the log has 911")
	for _, args := range [][]string{{"log", "prove"}, {"log", "prove", "x"}, {"log", "prove", "0"}, {"log", "prove", "7", "--since", file}, {"log", "prove", "--since", "none"}} {
		code, _, _ := f.run(args...)
		require.Equal(t, exitUnreachable, code, args)
	}
}

// A proof waits for the checkpoint of a record that was just stored; where there is
// damage no checkpoint will ever cover it.
func TestProve_WaitsForCheckpoint(t *testing.T) {
	t.Parallel()
	f := startFakeLog(t)
	f.story("inc-1", "t", event.Rules{})
	asked := 0
	f.onState = func() {
		if asked++; asked == 3 {
			f.sign()
		}
	}
	code, out, errOut := f.run("log", "prove", "3")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, evidence.ProofFormat)

	f.add("incident.closed.desk-a.grid-east.inc-1.x", event.DeskAct{})
	f.onState = func() {}
	f.damage = []event.Damage{{Kind: event.DamageMissing, First: 2, Last: 2, Detail: "gone"}}
	code, _, errOut = f.run("log", "prove", "4")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "while there is damage")
}

// An invalid proof is not handed out.
func TestProve_RejectsInvalidProof(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	f.records[6].Body = []byte(strings.Replace(string(f.records[6].Body), "desk-a", "desk-b", 1))
	code, out, errOut := f.run("log", "prove", "7")
	require.Equal(t, exitRefused, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "does not hold")
}

func TestProve_Extension(t *testing.T) {
	t.Parallel()
	f := startFakeLog(t)
	f.story("inc-1", "t", event.Rules{})
	f.sign()
	old := f.cp
	dir := t.TempDir()
	then := filepath.Join(dir, "then")
	code, out, errOut := f.run("log", "checkpoint")
	require.Equal(t, exitOK, code, errOut)
	require.Equal(t, old.Note, out, "as it was signed, byte for byte")
	require.NoError(t, os.WriteFile(then, []byte(out), 0o600))
	code, key, errOut := f.run("log", "key")
	require.Equal(t, exitOK, code, errOut)
	require.Equal(t, f.key.Verifier()+"\n", key, "alone on standard output")

	for i := range 5 {
		f.story("more-"+string(rune('a'+i)), "t", event.Rules{})
	}
	f.sign()
	code, out, errOut = f.run("log", "prove", "--since", then)
	require.Equal(t, exitOK, code, errOut)
	v, err := evidence.NewVerifier(strings.TrimSpace(key))
	require.NoError(t, err)
	grown, err := evidence.ParseConsistency(out)
	require.NoError(t, err)
	require.NoError(t, grown.Verify(v, old))

	// The log was restored from an old copy, and other records replaced the lost ones.
	g := startFakeLog(t)
	g.key = f.key
	g.story("inc-1", "t", event.Rules{})
	g.sign()
	now := filepath.Join(dir, "now")
	require.NoError(t, os.WriteFile(now, []byte(f.cp.Note), 0o600))
	code, _, errOut = g.run("log", "prove", "--since", now)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "the log was cut")
	code, _, errOut = g.run("log", "prove", "--since", then)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "does not extend")
	stranger := startFakeLog(t)
	stranger.story("inc-1", "t", event.Rules{})
	stranger.sign()
	code, _, errOut = stranger.run("log", "prove", "--since", then)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "not signed")
}

func TestLogStatus_ShowsDamage(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	code, out, errOut := f.run("log", "status")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "911 records; the checkpoint covers 911")
	require.Contains(t, out, "records younger than 6 months are never archived")
	require.Contains(t, out, "no damage is known")
	f.damage = []event.Damage{{Kind: event.DamageMissing, First: 2, Last: 3, Detail: "gone", FoundAt: rendertest.Noon}}
	code, out, _ = f.run("log", "status")
	require.Equal(t, exitRefused, code)
	require.Contains(t, out, "DAMAGE (1):\n  missing  #2–#3  gone  (2026-03-01 12:00:00.000 +08:00)")
}

// A check is followed to its end, and one that ended before the request does not count.
func TestAudit_FollowsRunningCheck(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	asked, end := 0, rendertest.Noon
	serve(f.fake, api.EndpointAudit, func(q api.AuditRequest) any {
		a := api.AuditAnswer{ID: 4, Ended: &end, Started: rendertest.Noon, Damage: []event.Damage{}} // of last night
		asked++
		switch {
		case asked == 1:
			if q.After <= 4 {
				f.t.Errorf("asked after %d: last night's check would do", q.After)
			}
		case asked == 2 && q.After == 4: // about to begin
		case asked == 3 && q.After == 4:
			a.ID, a.Running, a.Ended, a.Checked, a.Of = 5, true, nil, 100, 911
		case q.After == 4:
			end = *rendertest.After(2)
			a.ID, a.Checked, a.Of, a.Removed, a.Checkpoint = 5, 911, 911, 1, f.cp.Note
			a.Damage = append(a.Damage, f.damage...)
		default:
			f.t.Errorf("asked %d after %d", asked, q.After)
		}
		return a
	})
	code, out, errOut := f.run("log", "audit")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "checked 911 of 911 records, 1 of them removed, in 2m")
	require.Contains(t, out, "compared with the checkpoint of tocsin.invalid/test: 911 records, root "+f.cp.Root.String())
	require.Contains(t, out, "no damage is known")

	asked, f.damage = 0, []event.Damage{{Kind: event.DamageChanged, First: 7, Last: 7, Detail: "another entry"}}
	code, out, _ = f.run("log", "audit", "--json")
	require.Equal(t, exitRefused, code)
	require.Equal(t, "changed", decode(t, out)["damage"].([]any)[0].(map[string]any)["kind"])
}
