package audit

import (
	"context"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Fetch reads records to be shown or proved, in the order of seqs, and compares the
// certified ones with the tree. A missing one has only its sequence.
func (l *Log) Fetch(ctx context.Context, seqs []uint64) ([]event.Stored, error) {
	read, err := l.deps.Stream.GetMany(ctx, seqs)
	if err != nil {
		return nil, err
	}
	l.shown(ctx, read)
	return read, nil
}

// entryOf returns the entry of a certified record in the tree.
func (l *Log) entryOf(record uint64) (entry evidence.Hash, ok bool) {
	entries, err := l.entries(record, record)
	if err != nil || entries == nil {
		return entry, false
	}
	return entries[0], true
}
