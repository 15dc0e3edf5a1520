package index

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

// A query gets from the cache what the file had when the query began.
func TestCache_AnswersLikeTheSnapshot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newCache()
		file, views := map[int64]string{}, map[uint64]map[int64]string{}
		look := func() uint64 {
			view := map[int64]string{}
			for k, v := range file {
				view[k] = v
			}
			views[c.now()] = view
			return c.now()
		}
		epochs := []uint64{look()}
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			spot := int64(rapid.IntRange(0, 5).Draw(t, "spot"))
			if rapid.IntRange(0, 9).Draw(t, "step") == 0 {
				file[spot] = fmt.Sprint(n)
				c.drop([]int64{spot})
				epochs = append(epochs, look())
				continue
			}
			epoch := rapid.SampledFrom(epochs).Draw(t, "epoch")
			raw, known := c.get(epoch, spot)
			if !known {
				raw = []byte(views[epoch][spot])
				c.put(epoch, spot, raw)
			}
			require.Equal(t, views[epoch][spot], string(raw))
		}
	})
}

func TestCache_IsBounded(t *testing.T) {
	t.Parallel()
	c := newCache()
	for spot := range int64(2 * cacheBytes / postings.MaxBytes) {
		c.put(0, spot, make([]byte, postings.MaxBytes))
		c.put(0, -1-spot, nil)
		_, known := c.get(0, 0)
		require.True(t, known, "what is asked for again and again stays")
		require.LessOrEqual(t, c.bytes, cacheBytes)
	}
	_, known := c.get(0, 1)
	require.False(t, known)
	c.put(0, 1, make([]byte, cacheEntry+1))
	_, known = c.get(0, 1)
	require.False(t, known)
	require.Equal(t, len(c.of), c.order.Len())
	for spot := range c.of {
		c.drop([]int64{spot})
	}
	require.Zero(t, c.bytes)
}
