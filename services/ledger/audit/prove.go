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
func (l *Log) Tiles(_ context.Context, q api.TilesRequest) (api.TilesAnswer, error) {
	if len(q.Paths) > api.MaxTiles {
		return api.TilesAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$.paths", Message: "more than 50 tiles at once"}})
	}
	answer := api.TilesAnswer{Tiles: make([][]byte, len(q.Paths))}
	for i, path := range q.Paths {
		tile, err := l.tile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return api.TilesAnswer{}, err
		}
		answer.Tiles[i] = tile
	}
	return answer, nil
}

func (l *Log) tile(path string) ([]byte, error) {
	t, err := evidence.ParseTilePath(path)
	if err != nil {
		return nil, fs.ErrNotExist
	}
	if _, last := t.Records(); last > l.Readable() {
		return nil, fs.ErrNotExist
	}
	return l.folder.Tile(path)
}

// CertifyReceipts signs, with the key of the log, that a key signs the receipts of
// reports to it. Only the services may request it, and without identities nobody may.
func (l *Log) CertifyReceipts(_ context.Context, q api.CertifyRequest) (api.CertifyAnswer, error) {
	if !l.deps.Callers.HasIdentities() {
		return api.CertifyAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$", Message: "without identities the caller is unknown"}})
	}
	note, err := l.key.CertifyReceipts(q.Key)
	if err != nil {
		return api.CertifyAnswer{}, fault.Invalid(name, []fault.Detail{{Path: "$.key", Message: err.Error()}})
	}
	return api.CertifyAnswer{Certificate: note}, nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// RecordOf returns a record in the form in which it is exported and proved.
func RecordOf(s event.Stored) evidence.Record {
	return evidence.Record{Sequence: s.Sequence, Subject: s.Wire, Header: s.Header, Body: s.Data}
}

// Provable returns a record to be proved, with the checkpoint that covers it. A missing
// record has only its sequence: see WhyGone.
func (l *Log) Provable(ctx context.Context, record uint64) (s event.Stored, cp evidence.Checkpoint, err error) {
	switch cp, err = l.covering(ctx, record); {
	case err != nil:
		return s, cp, err
	case record > cp.Size:
		return s, cp, cannotProve("$.record", "no checkpoint covers record "+decimal(record)+" yet; the last one covers "+decimal(cp.Size))
	case l.Readable() < cp.Size:
		return s, cp, cannotProve("$", beingRebuilt(cp))
	}
	read, err := l.Fetch(ctx, []uint64{record})
	if err != nil {
		return s, cp, err
	}
	return read[0], cp, nil
}

// covering returns the last checkpoint. If it does not cover a record that is stored, it
// waits for one that does.
func (l *Log) covering(ctx context.Context, record uint64) (evidence.Checkpoint, error) {
	cp := l.Last()
	switch {
	case record > math.MaxInt64:
		return cp, cannotProve("$", "there is no such record")
	case record <= cp.Size:
		return cp, nil
	}
	head, err := l.deps.Stream.Head(ctx)
	if err != nil || record > head { // do not wait for a record that is not stored
		return cp, err
	}
	return l.covers(ctx, record), nil
}

func cannotProve(path, message string) error {
	return fault.Invalid(name, []fault.Detail{{Path: path, Message: message}})
}

func beingRebuilt(cp evidence.Checkpoint) string {
	return "the tree is being rebuilt: ask again when it covers the " + decimal(cp.Size) + " records that are certified"
}

// ProveRecord proves that a record is in the log that a checkpoint covers.
func (l *Log) ProveRecord(s event.Stored, cp evidence.Checkpoint) (api.ProveAnswer, error) {
	if l.isChanged(s) {
		return api.ProveAnswer{}, cannotProve("$.record", "record "+decimal(s.Sequence)+" is not what was certified: the record is damaged")
	}
	path, err := evidence.ProveInclusion(l.folder, cp.Size, s.Sequence-1)
	proof := evidence.Proof{Record: RecordOf(s), Path: path, Checkpoint: cp.Note}
	if err == nil {
		_, err = proof.Verify(l.verifier)
	}
	return api.ProveAnswer{Proof: proof.String()}, l.proofFailure(err)
}

// ProveGrown proves that the log of a size is a prefix of what the last checkpoint covers.
func (l *Log) ProveGrown(ctx context.Context, size uint64) (api.ProveAnswer, error) {
	cp, err := l.covering(ctx, size)
	switch {
	case err != nil:
		return api.ProveAnswer{}, err
	case size > cp.Size:
		return api.ProveAnswer{}, cannotProve("$.size", "the log has "+decimal(cp.Size)+" certified records, fewer than "+decimal(size))
	case l.Readable() < cp.Size:
		return api.ProveAnswer{}, cannotProve("$", beingRebuilt(cp))
	}
	root, err := evidence.Root(l.folder, size)
	if err != nil {
		return api.ProveAnswer{}, l.proofFailure(err)
	}
	proof := evidence.Consistency{Size: size, Root: root, Checkpoint: cp.Note}
	if proof.Path, err = evidence.ProveConsistency(l.folder, size, cp.Size); err == nil {
		err = proof.Verify(l.verifier, evidence.Checkpoint{Origin: cp.Origin, Size: size, Root: root})
	}
	return api.ProveAnswer{Proof: proof.String()}, l.proofFailure(err)
}

// proofFailure returns the error for a tree that gives no valid proof, which is damage: a proof
// that does not hold is never returned.
func (l *Log) proofFailure(err error) error {
	if err == nil {
		return nil
	}
	if l.onlyMissing(err) {
		return cannotProve("$", l.requestRebuild(err).Error()+": ask again later")
	}
	l.reportTree(err)
	l.checks.want()
	return cannotProve("$", "the tree is damaged here and gives no proof: "+err.Error())
}

// WhyGone returns the error for a certified record that is missing: removed, or lost.
func (l *Log) WhyGone(ctx context.Context, record uint64) error {
	removal, at, err := l.removals.of(ctx, l.deps.Stream, record)
	message := "record " + decimal(record) + " is missing, and no removal says so: the record is damaged"
	switch {
	case errors.Is(err, errNotRemoved):
		if err := l.reportMissing(ctx, record, record); err != nil {
			return err
		}
	case err != nil:
		return err
	case removal.Basis == event.BasisOrder:
		message = "record " + decimal(record) + " was removed by order " + removal.Order + " (" + signerOf(removal) + "); record " + decimal(at) + " says so and can be proved"
	default:
		message = "record " + decimal(record) + " was archived; the export whose manifest has the SHA-256 " + removal.Export + " proves it, and record " + decimal(at) + " says that it was removed"
	}
	return cannotProve("$.record", message)
}
