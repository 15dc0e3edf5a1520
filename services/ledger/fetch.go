package ledger

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// fetch returns records to be shown or proved, in the order of seqs. A missing one has
// only its sequence. A copy is used if it is the certified record; the stream's own
// record is then checked in the background, so that damage to it is found too.
func (p *proof) fetch(ctx context.Context, seqs []uint64) ([]event.Stored, error) {
	out := p.copied(ctx, seqs)
	var rest []uint64
	var places []int
	for i, seq := range seqs {
		if p.isSound(out[i]) {
			p.glance(seq)
			continue
		}
		rest, places = append(rest, seq), append(places, i)
	}
	if len(rest) == 0 {
		return out, nil
	}
	read, err := p.deps.Bus.GetMany(ctx, rest)
	if err != nil {
		return nil, err
	}
	p.shown(ctx, read)
	for k, i := range places {
		out[i] = read[k]
	}
	return out, nil
}

// isSound reports whether a copy is the certified record and was not removed.
func (p *proof) isSound(s event.Stored) bool {
	if s.Wire == "" || s.Sequence > p.readable() || p.removals.has(s.Sequence) {
		return false
	}
	entry, ok := p.entryOf(s.Sequence)
	return ok && s.Entry() == entry
}

// copiesOf reads the index's copies, if there is an index.
func (l *Ledger) copiesOf(ctx context.Context, seqs []uint64) []event.Stored {
	if x := l.view.index.Load(); x != nil {
		out, err := x.copies(ctx, l.deps.Bus.Realm(), seqs)
		if err == nil {
			return out
		}
		if _ = l.view.report(err); ctx.Err() == nil { // damage is reported
			l.deps.Log.Debug("copies of records were not read", zap.Error(err))
		}
	}
	out := make([]event.Stored, len(seqs))
	for i, seq := range seqs {
		out[i].Sequence = seq
	}
	return out
}

// Bounds of checking the stream's records of copies that were shown. Records beyond
// glances are left to the next check. The engine reads a whole block for each: queries
// must not wait for that.
const (
	glances  = 4096
	unasked  = 50 * time.Millisecond // since the last query
	notLater = 10 * time.Second      // after it was shown, or the previous one was read
)

func (p *proof) glance(record uint64) {
	select {
	case p.glanced <- record:
	default:
	}
}

// lookBehind checks shown records against the stream, one at a time and far slower than
// queries come.
func (p *proof) lookBehind(ctx context.Context) error {
	for {
		select {
		case seq := <-p.glanced:
			for waited := time.Duration(0); waited < notLater && p.isAsked(); waited += unasked {
				if !sleep(ctx, unasked) {
					return ctx.Err()
				}
			}
			began := clock.Steady()
			read, err := p.deps.Bus.GetMany(ctx, []uint64{seq})
			if err != nil {
				p.deps.Log.Debug("what was shown was not read from the stream: the next check reads it", zap.Error(err))
			}
			p.shown(ctx, read)
			sleep(ctx, idler*clock.Steady().Sub(began))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isAsked reports whether a query came a moment ago. A clock that was set back does not
// count as one.
func (p *proof) isAsked() bool {
	ago := machine.Now().Sub(p.asked())
	return ago >= 0 && ago < unasked
}

// entryOf returns the entry of a certified record in the tree.
func (p *proof) entryOf(record uint64) (entry evidence.Hash, ok bool) {
	entries, err := p.entries(record, record)
	if err != nil || entries == nil {
		return entry, false
	}
	return entries[0], true
}
