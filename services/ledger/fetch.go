package ledger

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// fetch returns records to be shown or proved, in the order asked for. One that is
// not there has only its sequence. A copy is taken where it is what was certified;
// the stream's own record is then held against the tree behind the answer, so that
// what is wrong with it is found all the same.
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

// isSound reports whether a copy is what was certified, and was not removed.
func (p *proof) isSound(s event.Stored) bool {
	if s.Wire == "" || s.Sequence > p.readable() || p.removals.has(s.Sequence) {
		return false
	}
	entry, ok := p.entryOf(s.Sequence)
	return ok && s.Entry() == entry
}

// copiesOf reads the index's copies, where there is an index.
func (l *Ledger) copiesOf(ctx context.Context, seqs []uint64) []event.Stored {
	if x := l.view.index.Load(); x != nil {
		out, err := x.copies(ctx, l.deps.Bus.Realm(), seqs)
		if err == nil {
			return out
		}
		if _ = l.view.report(err); ctx.Err() == nil { // damage is handed on
			l.deps.Log.Debug("copies of records were not read", zap.Error(err))
		}
	}
	out := make([]event.Stored, len(seqs))
	for i, seq := range seqs {
		out[i].Sequence = seq
	}
	return out
}

// Records that were shown out of a copy and are still to be read from the stream.
// Beyond so many it is left to the next check. The engine reads a whole block for
// each: nobody who asks shall wait behind that.
const (
	glances  = 4096
	unasked  = 50 * time.Millisecond // since the last question
	notLater = 10 * time.Second      // after it was shown, or the one before was read
)

func (p *proof) glance(record uint64) {
	select {
	case p.glanced <- record:
	default:
	}
}

// lookBehind reads behind what was shown, one record at a time and far slower than
// those who ask.
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

// isAsked reports whether somebody asked a moment ago. A clock that was set back
// is no question.
func (p *proof) isAsked() bool {
	ago := machine.Now().Sub(p.asked())
	return ago >= 0 && ago < unasked
}

// entryOf is the entry of a certified record in the tree.
func (p *proof) entryOf(record uint64) (entry evidence.Hash, ok bool) {
	entries, err := p.entries(record, record)
	if err != nil || entries == nil {
		return entry, false
	}
	return entries[0], true
}
