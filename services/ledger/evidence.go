package ledger

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"strconv"
	"time"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// tiles answers with tiles of the tree that a checkpoint covers.
func (p *proof) tiles(_ context.Context, q event.TilesRequest) (event.TilesAnswer, error) {
	if len(q.Paths) > event.TilesAtOnce {
		return event.TilesAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$.paths", Message: "more than 50 tiles at once"}})
	}
	answer := event.TilesAnswer{Tiles: make([][]byte, len(q.Paths))}
	for i, path := range q.Paths {
		tile, err := p.tile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return event.TilesAnswer{}, err
		}
		answer.Tiles[i] = tile
	}
	return answer, nil
}

// tile reads one tile, or returns fs.ErrNotExist.
func (p *proof) tile(path string) ([]byte, error) {
	t, err := evidence.ParseTilePath(path)
	if err != nil {
		return nil, fs.ErrNotExist
	}
	if _, last := t.Records(); last > p.readable() {
		return nil, fs.ErrNotExist
	}
	return p.folder.Tile(path)
}

// certifyReceipts signs, with the key of the log, that a key signs the receipts of
// reports to it. Only the services may request it, and without identities nobody may.
func (p *proof) certifyReceipts(_ context.Context, q event.CertifyRequest) (event.CertifyAnswer, error) {
	if !p.deps.Endpoints.HasIdentities() {
		return event.CertifyAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "without identities the caller is unknown"}})
	}
	note, err := p.key.CertifyReceipts(q.Key)
	if err != nil {
		return event.CertifyAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$.key", Message: err.Error()}})
	}
	return event.CertifyAnswer{Certificate: note}, nil
}

// Bounds of one page of records: a NATS reply is at most 1 MiB, and a body in base64 in a
// line in a JSON string may double in size.
const (
	pageRecords    = 500
	pageRecordSize = 400 << 10
)

// records answers with records as stored in the stream.
func (p *proof) records(ctx context.Context, q event.RecordsRequest) (event.RecordsAnswer, error) {
	answer := event.RecordsAnswer{Lines: []string{}}
	if !identity.Of(ctx).Sight().IsAll() {
		return answer, errPart
	}
	state, err := p.deps.Bus.State(ctx)
	if err != nil {
		return answer, err
	}
	answer.First, answer.Last = max(1, q.From), state.Last
	if q.To > 0 {
		answer.Last = min(answer.Last, q.To)
	}
	if q.Since != nil {
		since, err := p.deps.Bus.SequenceAt(ctx, *q.Since)
		if err != nil {
			return answer, err
		}
		answer.First = max(answer.First, since)
	}
	if q.Until != nil {
		until, err := p.deps.Bus.SequenceAt(ctx, *q.Until)
		if err != nil {
			return answer, err
		}
		answer.Last = min(answer.Last, until-1)
	}
	if answer.Last < answer.First {
		return answer, nil
	}
	page, err := p.deps.Bus.Page(ctx, answer.First, answer.Last, q.Subjects, pageRecords, pageRecordSize)
	if err != nil {
		return answer, err
	}
	if err := p.rangeRead(ctx, page); err != nil {
		return answer, err
	}
	p.read(page...)
	size, next := 0, answer.First
	for _, s := range page {
		if q.Subjects == nil && next < s.Sequence {
			if err := p.absent(ctx, next, min(s.Sequence-1, p.readable())); err != nil {
				return answer, err
			}
		}
		next = s.Sequence + 1
		line := string(recordOf(s).Line())
		if size += len(line); size > pageRecordSize && len(answer.Lines) > 0 {
			break
		}
		answer.Lines, answer.Next = append(answer.Lines, line), s.Sequence+1
		if _, late := event.AsStored(s); late && clock.IsMachine(p.deps.Clock) {
			if answer.StoredLate == nil {
				answer.StoredLate = map[uint64]time.Time{}
			}
			answer.StoredLate[s.Sequence] = s.StoredAt
		}
	}
	if answer.Next > answer.Last {
		answer.Next = 0
	}
	if q.Subjects == nil && len(page) == 0 {
		if err := p.absent(ctx, answer.First, min(answer.Last, p.readable())); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

func text(n uint64) string { return strconv.FormatUint(n, 10) }

func recordOf(s event.Stored) evidence.Record {
	return evidence.Record{Sequence: s.Sequence, Subject: s.Wire, Header: s.Header, Body: s.Data}
}

// prove answers with a proof that a record is in the log, or that the log of an earlier
// size is a prefix of the current one.
func (p *proof) prove(ctx context.Context, q event.ProveRequest) (event.ProveAnswer, error) {
	fail := func(path, message string) (event.ProveAnswer, error) {
		return event.ProveAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: path, Message: message}})
	}
	switch {
	case (q.Record == 0) == (q.Size == 0):
		return fail("$", "must name a record or a size")
	case max(q.Record, q.Size) > math.MaxInt64:
		return fail("$", "there is no such record")
	}
	cp := p.last()
	if asked := max(q.Record, q.Size); asked > cp.Size {
		head, err := p.deps.Bus.Head(ctx)
		if err != nil {
			return event.ProveAnswer{}, err
		}
		if asked <= head { // do not wait for a record that is not stored
			cp = p.covers(ctx, asked)
		}
	}
	switch {
	case q.Record > cp.Size:
		return fail("$.record", "no checkpoint covers record "+text(q.Record)+" yet; the last one covers "+text(cp.Size))
	case q.Size > cp.Size:
		return fail("$.size", "the log has "+text(cp.Size)+" certified records, fewer than "+text(q.Size))
	case p.readable() < cp.Size:
		return fail("$", "the tree is being rebuilt: ask again when it covers the "+text(cp.Size)+" records that are certified")
	case q.Size > 0:
		return p.proveGrown(q.Size, cp)
	}
	read, err := p.fetch(ctx, []uint64{q.Record})
	if err != nil {
		return event.ProveAnswer{}, err
	}
	s := read[0]
	if seen, err := p.sees(ctx, s.Subject); err != nil || !seen {
		if err == nil {
			err = p.hidden(ctx, s)
		}
		return event.ProveAnswer{}, err
	}
	if s.Wire == "" {
		return event.ProveAnswer{}, p.whyGone(ctx, q.Record)
	}
	if err := p.readingOf(ctx, s); err != nil {
		return event.ProveAnswer{}, err
	}
	if entry, ok := p.entryOf(q.Record); ok && s.Entry() != entry {
		return fail("$.record", "record "+text(q.Record)+" is not what was certified: the record is damaged")
	}
	path, err := evidence.ProveInclusion(p.folder, cp.Size, q.Record-1)
	proof := evidence.Proof{Record: recordOf(s), Path: path, Checkpoint: cp.Note}
	if err == nil {
		_, err = proof.Verify(p.verifier)
	}
	return event.ProveAnswer{Proof: proof.String()}, p.blame(err)
}

// proveGrown proves that the log of a size is a prefix of what a checkpoint covers.
func (p *proof) proveGrown(size uint64, cp evidence.Checkpoint) (event.ProveAnswer, error) {
	root, err := evidence.Root(p.folder, size)
	if err != nil {
		return event.ProveAnswer{}, p.blame(err)
	}
	proof := evidence.Consistency{Size: size, Root: root, Checkpoint: cp.Note}
	if proof.Path, err = evidence.ProveConsistency(p.folder, size, cp.Size); err == nil {
		err = proof.Verify(p.verifier, evidence.Checkpoint{Origin: cp.Origin, Size: size, Root: root})
	}
	return event.ProveAnswer{Proof: proof.String()}, p.blame(err)
}

// blame returns the error for a tree that gives no valid proof, which is damage: a proof
// that does not hold is never returned.
func (p *proof) blame(err error) error {
	if err == nil {
		return nil
	}
	if p.areGone(err) {
		return fault.Invalid(Name, []fault.Detail{{Path: "$", Message: p.tilesGone(err).Error() + ": ask again later"}})
	}
	p.treeDamaged(err)
	p.checks.want()
	return fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "the tree is damaged and proves nothing here: " + err.Error()}})
}

// whyGone returns the error for a certified record that is missing: removed, or lost.
func (p *proof) whyGone(ctx context.Context, record uint64) error {
	removal, at, err := p.removals.of(ctx, p.deps.Bus, record)
	message := "record " + text(record) + " is missing, and no removal says so: the record is damaged"
	switch {
	case errors.Is(err, errNotRemoved):
		if err := p.gone(ctx, record, record); err != nil {
			return err
		}
	case err != nil:
		return err
	case removal.Why == event.WhyOrder:
		message = "record " + text(record) + " was removed by order " + removal.Order + " (" + by(removal) + "); record " + text(at) + " says so and can be proved"
	default:
		message = "record " + text(record) + " was archived; the export whose manifest has the SHA-256 " + removal.Export + " proves it, and record " + text(at) + " says that it was removed"
	}
	return fault.Invalid(Name, []fault.Detail{{Path: "$.record", Message: message}})
}
