package index

import (
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// apply indexes records.
func (x *Index) apply(ctx context.Context, batch []event.Stored) (unreadable []error, err error) {
	return x.Write(ctx, extract.Decode(batch))
}

// dumpOf returns everything in an index.
func dumpOf(t require.TestingT, x *Index) []string {
	return append(ledgertest.Dump(t, x.db), dumpOfTail(x.tail)...)
}

// dumpOfTail returns the growing chunk, which is in memory.
func dumpOfTail(tail *tail) (lines []string) {
	if tail == nil {
		return nil
	}
	for id, list := range tail.lists {
		if len(list) > 0 {
			lines = append(lines, fmt.Sprint("tail list ", id, list))
		}
	}
	for id, s := range tail.moved {
		if !s.IsEmpty() {
			lines = append(lines, fmt.Sprint("tail set ", id, slices.Collect(s.All())))
		}
	}
	for id, b := range tail.text {
		for token, list := range b {
			lines = append(lines, fmt.Sprint("tail token ", id, token, list))
		}
	}
	slices.Sort(lines)
	return append(lines, fmt.Sprint("tail ", tail.chunk, *tail.times))
}
