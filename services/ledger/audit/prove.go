package audit

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Tiles answers with tiles of the tree that a checkpoint covers.
func (p *Log) Tiles(_ context.Context, q api.TilesRequest) (api.TilesAnswer, error) {
	if len(q.Paths) > api.MaxTiles {
		return api.TilesAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$.paths", Message: "more than 50 tiles at once"}})
	}
	answer := api.TilesAnswer{Tiles: make([][]byte, len(q.Paths))}
	for i, path := range q.Paths {
		tile, err := p.tile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return api.TilesAnswer{}, err
		}
		answer.Tiles[i] = tile
	}
	return answer, nil
}

// tile reads one tile, or returns fs.ErrNotExist.
func (p *Log) tile(path string) ([]byte, error) {
	t, err := evidence.ParseTilePath(path)
	if err != nil {
		return nil, fs.ErrNotExist
	}
	if _, last := t.Records(); last > p.Readable() {
		return nil, fs.ErrNotExist
	}
	return p.folder.Tile(path)
}

// CertifyReceipts signs, with the key of the log, that a key signs the receipts of
// reports to it. Only the services may request it, and without identities nobody may.
func (p *Log) CertifyReceipts(_ context.Context, q api.CertifyRequest) (api.CertifyAnswer, error) {
	if !p.deps.Endpoints.HasIdentities() {
		return api.CertifyAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$", Message: "without identities the caller is unknown"}})
	}
	note, err := p.key.CertifyReceipts(q.Key)
	if err != nil {
		return api.CertifyAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$.key", Message: err.Error()}})
	}
	return api.CertifyAnswer{Certificate: note}, nil
}

func text(n uint64) string { return strconv.FormatUint(n, 10) }

// RecordOf returns a record in the form in which it is exported and proved.
func RecordOf(s event.Stored) evidence.Record {
	return evidence.Record{Sequence: s.Sequence, Subject: s.Wire, Header: s.Header, Body: s.Data}
}

// Provable returns a record to be proved, with the checkpoint that covers it. A missing
// record has only its sequence: see whyGone.
func (p *Log) Provable(ctx context.Context, record uint64) (s event.Stored, cp evidence.Checkpoint, err error) {
	switch cp, err = p.covering(ctx, record); {
	case err != nil:
		return s, cp, err
	case record > cp.Size:
		return s, cp, cannotProve("$.record", "no checkpoint covers record "+text(record)+" yet; the last one covers "+text(cp.Size))
	case p.Readable() < cp.Size:
		return s, cp, cannotProve("$", beingRebuilt(cp))
	}
	read, err := p.Fetch(ctx, []uint64{record})
	if err != nil {
		return s, cp, err
	}
	return read[0], cp, nil
}

// covering returns the last checkpoint. If it does not cover a record that is stored, it
// waits for one that does.
func (p *Log) covering(ctx context.Context, record uint64) (evidence.Checkpoint, error) {
	cp := p.Last()
	switch {
	case record > math.MaxInt64:
		return cp, cannotProve("$", "there is no such record")
	case record <= cp.Size:
		return cp, nil
	}
	head, err := p.deps.Bus.Head(ctx)
	if err != nil || record > head { // do not wait for a record that is not stored
		return cp, err
	}
	return p.covers(ctx, record), nil
}

func cannotProve(path, message string) error {
	return fault.Invalid(name, []fault.Detail{{Path: path, Message: message}})
}

func beingRebuilt(cp evidence.Checkpoint) string {
	return "the tree is being rebuilt: ask again when it covers the " + text(cp.Size) + " records that are certified"
}

// ProveRecord proves that a record is in the log that a checkpoint covers.
func (p *Log) ProveRecord(s event.Stored, cp evidence.Checkpoint) (api.ProveAnswer, error) {
	if entry, ok := p.entryOf(s.Sequence); ok && s.Entry() != entry {
		return api.ProveAnswer{}, cannotProve("$.record", "record "+text(s.Sequence)+" is not what was certified: the record is damaged")
	}
	path, err := evidence.ProveInclusion(p.folder, cp.Size, s.Sequence-1)
	proof := evidence.Proof{Record: RecordOf(s), Path: path, Checkpoint: cp.Note}
	if err == nil {
		_, err = proof.Verify(p.verifier)
	}
	return api.ProveAnswer{Proof: proof.String()}, p.blame(err)
}

// ProveGrown proves that the log of a size is a prefix of what the last checkpoint covers.
func (p *Log) ProveGrown(ctx context.Context, size uint64) (api.ProveAnswer, error) {
	cp, err := p.covering(ctx, size)
	switch {
	case err != nil:
		return api.ProveAnswer{}, err
	case size > cp.Size:
		return api.ProveAnswer{}, cannotProve("$.size", "the log has "+text(cp.Size)+" certified records, fewer than "+text(size))
	case p.Readable() < cp.Size:
		return api.ProveAnswer{}, cannotProve("$", beingRebuilt(cp))
	}
	root, err := evidence.Root(p.folder, size)
	if err != nil {
		return api.ProveAnswer{}, p.blame(err)
	}
	proof := evidence.Consistency{Size: size, Root: root, Checkpoint: cp.Note}
	if proof.Path, err = evidence.ProveConsistency(p.folder, size, cp.Size); err == nil {
		err = proof.Verify(p.verifier, evidence.Checkpoint{Origin: cp.Origin, Size: size, Root: root})
	}
	return api.ProveAnswer{Proof: proof.String()}, p.blame(err)
}

// blame returns the error for a tree that gives no valid proof, which is damage: a proof
// that does not hold is never returned.
func (p *Log) blame(err error) error {
	if err == nil {
		return nil
	}
	if p.areGone(err) {
		return fault.Invalid(name, []fault.Detail{{Path: "$", Message: p.tilesGone(err).Error() + ": ask again later"}})
	}
	p.treeDamaged(err)
	p.checks.want()
	return fault.Invalid(name, []fault.Detail{{Path: "$", Message: "the tree is damaged and proves nothing here: " + err.Error()}})
}

// WhyGone returns the error for a certified record that is missing: removed, or lost.
func (p *Log) WhyGone(ctx context.Context, record uint64) error {
	removal, at, err := p.removals.of(ctx, p.deps.Bus, record)
	message := "record " + text(record) + " is missing, and no removal says so: the record is damaged"
	switch {
	case errors.Is(err, errNotRemoved):
		if err := p.gone(ctx, record, record); err != nil {
			return err
		}
	case err != nil:
		return err
	case removal.Basis == event.BasisOrder:
		message = "record " + text(record) + " was removed by order " + removal.Order + " (" + by(removal) + "); record " + text(at) + " says so and can be proved"
	default:
		message = "record " + text(record) + " was archived; the export whose manifest has the SHA-256 " + removal.Export + " proves it, and record " + text(at) + " says that it was removed"
	}
	return fault.Invalid(name, []fault.Detail{{Path: "$.record", Message: message}})
}
