package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// An irreversible removal needs confirmation.
func TestRemoval_NeedsConfirmation(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	asked := 0
	for _, subject := range []string{api.EndpointRemove, api.EndpointArchive} {
		serve(f.fake, subject, func(map[string]any) any { asked++; return api.RemoveAnswer{} })
	}
	dir := filepath.Join(t.TempDir(), "archive")
	for _, args := range [][]string{
		{"redact", "6", "--order", "o", "--officer", "p"},
		{"redact", "6", "--order", "o", "--yes"},
		{"redact", "6", "--officer", "p", "--yes"},
		{"redact", "--order", "o", "--officer", "p", "--yes"},
		{"redact", "six", "--order", "o", "--officer", "p", "--yes"},
		{"archive", dir, "--before", "2026-01-01", "--officer", "p"},
		{"archive", dir, "--before", "2026-01-01", "--yes"},
		{"archive", dir, "--officer", "p", "--yes"},
		{"archive", dir, "--before", "soon", "--officer", "p", "--yes"},
	} {
		code, _, errOut := f.run(append([]string{"log"}, args...)...)
		require.Equal(t, exitUnreachable, code, args)
		require.NotEmpty(t, errOut)
	}
	require.Zero(t, asked)
	require.NoDirExists(t, dir)
}

func TestRedact(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	var asked []api.RemoveRequest
	serve(f, api.EndpointRemove, func(q api.RemoveRequest) any {
		asked = append(asked, q)
		switch q.Record {
		case 6:
			return api.RemoveAnswer{Status: event.StatusAccepted, Record: 20, Removed: 1, Copies: []uint64{7, 9}}
		case 7:
			return api.RemoveAnswer{Status: event.StatusDuplicate, Record: 19}
		}
		return api.RemoveAnswer{Errors: []fault.Detail{{Path: "$.record", Message: "is of no incident"}}}
	})
	code, out, errOut := f.run("log", "redact", "6", "#7", "--order", "国保密〔2026〕12号", "--officer", "duty-officer", "--reason", "secret", "--yes")
	require.Equal(t, exitOK, code, errOut)
	require.Equal(t, api.RemoveRequest{Record: 6, Order: "国保密〔2026〕12号", Officer: "duty-officer", Reason: "secret"}, asked[0])
	require.Equal(t, "removed  #6  removal #20\n    these records of the incident may repeat the content and need separate orders: #7 #9\nremoved before  #7  removal #19\n", out)

	code, out, _ = f.run("log", "redact", "1", "6", "--order", "o", "--officer", "p", "--yes")
	require.Equal(t, exitRefused, code)
	require.Contains(t, out, "not removed  #1\n    $.record: is of no incident\nremoved  #6", "one that is refused does not stop the others")
	code, out, _ = f.run("log", "redact", "6", "--order", "o", "--officer", "p", "--yes", "--json")
	require.Equal(t, exitOK, code)
	keys(t, decode(t, out), "of", "status", "record", "removed", "copies")
}

// The reason of a server that removes nothing until a person has intervened is printed at
// once.
func TestRedact_FrozenServer(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	_, err := f.nc.Subscribe(api.EndpointRemove, func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{endpoint.HeaderErrorCode: {"423"}, endpoint.HeaderError: {"the record ends at 7"}}})
	})
	require.NoError(t, err)
	require.NoError(t, f.nc.Flush())
	code, _, errOut := f.run("log", "redact", "6", "--order", "o", "--officer", "p", "--yes")
	require.Equal(t, exitRefused, code)
	require.Equal(t, "tocsin: the server refused the request: the record ends at 7\n", errOut)
}

// An archive is confirmed, exported, verified and only then removed; after an
// interruption the existing export is used.
func TestArchive(t *testing.T) {
	t.Parallel()
	f := aLog(t)
	dir := filepath.Join(t.TempDir(), "archive")
	var asked []api.ArchiveRequest
	var tried []api.ArchiveRequest
	young := []fault.Detail{{Path: "$.last", Message: "is younger than six months"}}
	damaged := []fault.Detail{{Path: "$", Message: "the record is damaged"}}
	serve(f.fake, api.EndpointArchive, func(q api.ArchiveRequest) any {
		if q.Try {
			tried = append(tried, q)
			return api.RemoveAnswer{Status: event.StatusAccepted, Errors: young}
		}
		asked = append(asked, q)
		switch {
		case damaged != nil:
			return api.RemoveAnswer{Errors: damaged}
		case q.First == 1:
			return api.RemoveAnswer{Status: event.StatusAccepted, Record: 912, Removed: 450, Kept: 50, Next: 501}
		}
		return api.RemoveAnswer{Status: event.StatusAccepted, Record: 913, Removed: 400, Kept: 11}
	})
	args := []string{"log", "archive", dir, "--before", "2026-01-01", "--officer", "archivist", "--yes"}
	code, _, errOut := f.run(args...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "$.last: is younger than six months", "as the server says it")
	require.Equal(t, []api.ArchiveRequest{{First: 1, Last: 911, Officer: "archivist", Try: true}}, tried, "the range that would be archived")
	require.Empty(t, asked)
	require.NoDirExists(t, dir)
	require.NoDirExists(t, dir+".unfinished", "nothing was written")

	young = nil
	code, _, errOut = f.run(args...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "$: the record is damaged", "found meanwhile")
	manifest := verified(t, dir, f.key.Verifier()).Manifest
	require.Equal(t, api.ArchiveRequest{First: 1, Last: 911, Export: manifest, Officer: "archivist"}, asked[0])

	damaged = nil
	code, out, errOut := f.run(args...)
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "archived 850 records, kept 61 that are still needed")
	require.Len(t, asked, 3)
	require.EqualValues(t, []any{uint64(501), manifest}, []any{asked[2].First, asked[2].Export}, "the same export, part by part")

	code, _, errOut = f.run("log", "archive", dir, "--before", "2026-01-02", "--officer", "archivist", "--yes")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "another export")

	name := filepath.Join(dir, "records.jsonl")
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	code, _, errOut = f.run(args...)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "nothing was archived")
	require.Len(t, asked, 3)
}
