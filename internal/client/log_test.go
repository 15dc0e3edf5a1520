package client_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

func question[T any](t *testing.T, m *nats.Msg) (q T) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &q); err != nil {
		t.Error(err)
	}
	return q
}

// A caller that reads tile after tile causes few requests; one that reads here and there
// gets what it asks for and no more.
func TestTiles_AreFetchedInBatches(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	const there = 120 // full tiles of a level
	var asked []int
	play(t, nc, api.EndpointTiles, func(m *nats.Msg) any {
		q := question[api.TilesRequest](t, m)
		asked = append(asked, len(q.Paths))
		var a api.TilesAnswer
		for _, path := range q.Paths {
			p, err := evidence.ParseTilePath(path)
			if err != nil {
				t.Error(err)
			}
			var tile []byte
			if p.Index < there {
				tile = []byte(path)
			}
			a.Tiles = append(a.Tiles, tile)
		}
		return a
	})
	tiles := c.Tiles(t.Context())
	path := func(level int, index uint64, width int) string {
		return evidence.TilePath{Level: level, Index: index, Width: width}.String()
	}
	get := func(path string) {
		t.Helper()
		tile, err := tiles.Tile(path)
		require.NoError(t, err)
		require.Equal(t, path, string(tile))
	}
	for i := range uint64(there) { // two levels beside each other
		get(path(evidence.EntriesLevel, i, 256))
		get(path(0, i, 256))
	}
	heard()
	require.Len(t, asked, 2*(1+3))
	for _, n := range asked {
		require.LessOrEqual(t, n, api.MaxTiles)
	}
	for _, index := range []uint64{100, 7, 60} {
		get(path(1, index, 256))
	}
	get(path(1, 61, 200))
	heard()
	require.Equal(t, []int{1, 1, 1, 1}, asked[8:])
	_, err := tiles.Tile(path(0, there, 256))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = tiles.Tile("tile/0/../key")
	require.Error(t, err)
}

func TestTiles_WrongNumberIsAnError(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	play(t, nc, api.EndpointTiles, func(*nats.Msg) any { return api.TilesAnswer{} })
	_, err := c.Tiles(t.Context()).Tile("tile/0/000")
	require.ErrorContains(t, err, "asked for 1 tiles, got 0")
}

func lineOf(sequence uint64) string {
	return string(evidence.Record{Sequence: sequence, Subject: "incident.closed", Body: []byte(`{}`)}.Line())
}

// Records come in order, page by page, without removed ones and without those stored
// during the reading.
func TestRecords_ReadsAllPages(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var asked []api.RecordsRequest
	play(t, nc, api.EndpointRecords, func(m *nats.Msg) any {
		q := question[api.RecordsRequest](t, m)
		asked = append(asked, q)
		switch len(asked) {
		case 1:
			return api.RecordsAnswer{First: 3, Last: 9, Lines: []string{lineOf(3), lineOf(5)}, Next: 6}
		case 2:
			return nil // causes another attempt
		case 3:
			return api.RecordsAnswer{First: 6, Last: 9, Lines: []string{}, Next: 8}
		}
		return api.RecordsAnswer{First: 8, Last: 9, Lines: []string{lineOf(9)}}
	})
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var got []uint64
	first, last := uint64(0), uint64(0)
	err := c.Records(t.Context(), api.RecordsRequest{Since: &since, Subjects: []string{"incident.closed"}},
		func(f, l uint64) error { first, last = f, l; return nil },
		func(r evidence.Record) error { got = append(got, r.Sequence); return nil })
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 5, 9}, got)
	require.Equal(t, []uint64{3, 9}, []uint64{first, last})
	heard()
	require.NotNil(t, asked[0].Since)
	for i, from := range []uint64{6, 6, 8} {
		require.Equal(t, api.RecordsRequest{From: from, To: 9, Subjects: []string{"incident.closed"}}, asked[i+1], "the range that was resolved first")
	}
}

func TestRecords_InvalidLine(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	lines := []string{"words"}
	play(t, nc, api.EndpointRecords, func(*nats.Msg) any { return api.RecordsAnswer{First: 1, Last: 1, Lines: lines} })
	read := func(begin error) error {
		return c.Records(t.Context(), api.RecordsRequest{}, func(uint64, uint64) error { return begin }, func(evidence.Record) error { return errors.New("enough") })
	}
	require.ErrorContains(t, read(nil), "not the line of a record")
	require.ErrorContains(t, read(errors.New("not these")), "not these")
	playing.Lock()
	lines = []string{lineOf(1)}
	playing.Unlock()
	require.ErrorContains(t, read(nil), "enough")
}

// An archive continues part by part, and never loops.
func TestArchive_InParts(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var asked []uint64
	play(t, nc, api.EndpointArchive, func(m *nats.Msg) any {
		q := question[api.ArchiveRequest](t, m)
		asked = append(asked, q.First)
		next := map[uint64]uint64{1: 5000, 5000: 9000, 9000: 9000}[q.First]
		return api.RemoveAnswer{Status: event.StatusAccepted, Removed: 10, Next: next}
	})
	var removed uint64
	require.NoError(t, c.Archive(t.Context(), api.ArchiveRequest{First: 1, Last: 9500}, func(a *api.RemoveAnswer) error {
		removed += a.Removed
		return nil
	}))
	heard()
	require.Equal(t, []uint64{1, 5000, 9000}, asked)
	require.EqualValues(t, 30, removed)
}

// TryArchive asks once, even if the answer has a next part.
func TestTryArchive(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var asked []api.ArchiveRequest
	play(t, nc, api.EndpointArchive, func(m *nats.Msg) any {
		asked = append(asked, question[api.ArchiveRequest](t, m))
		return api.RemoveAnswer{Status: event.StatusAccepted, Next: 50}
	})
	q := api.ArchiveRequest{First: 1, Last: 99, Officer: "archivist"}
	require.NoError(t, c.TryArchive(t.Context(), q))
	heard()
	q.Try = true
	require.Equal(t, []api.ArchiveRequest{q}, asked)
}

// The server resolves a range, and the client requests only its first page.
func TestRange(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	var asked []api.RecordsRequest
	play(t, nc, api.EndpointRecords, func(m *nats.Msg) any {
		asked = append(asked, question[api.RecordsRequest](t, m))
		return api.RecordsAnswer{First: 3, Last: 9, Lines: []string{lineOf(3)}, Next: 4}
	})
	until := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	q := api.RecordsRequest{From: 1, Until: &until}
	first, last, err := c.Range(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 9}, []uint64{first, last})
	heard()
	require.Equal(t, []api.RecordsRequest{q}, asked)
}

// A refused request returns all its faults.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	nc, c := connect(t, waitLimit)
	faults := []fault.Detail{{Path: "$.record", Message: "was removed"}}
	for _, subject := range []string{api.EndpointStats, api.EndpointProve, api.EndpointAudit, api.EndpointArchive, api.EndpointRecords, api.EndpointTiles} {
		play(t, nc, subject, func(*nats.Msg) any { return map[string]any{"errors": faults} })
	}
	ctx := t.Context()
	_, stats := c.Stats(ctx, api.StatsQuery{})
	_, proof := c.Prove(ctx, 1)
	_, grown := c.ProveExtends(ctx, 1)
	_, audit := c.Audit(ctx, 0)
	_, tile := c.Tiles(ctx).Tile("tile/0/000")
	records := c.Records(ctx, api.RecordsRequest{}, nil, nil)
	archive := c.Archive(ctx, api.ArchiveRequest{}, nil)
	tried := c.TryArchive(ctx, api.ArchiveRequest{})
	_, _, resolved := c.Range(ctx, api.RecordsRequest{})
	for i, err := range []error{stats, proof, grown, audit, tile, records, archive, tried, resolved} {
		require.Equal(t, faults, fault.DetailsOf(err), i)
	}
}
