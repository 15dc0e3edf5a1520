package index

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
	"github.com/tocsin-project/tocsin/services/ledger/index/postings"
)

var positions = rapid.Custom(func(t *rapid.T) []uint16 {
	list := rapid.SliceOfNDistinct(rapid.Uint16(), 0, 20, rapid.ID[uint16]).Draw(t, "positions")
	slices.Sort(list)
	return list
})

// The stored titles of a chunk give each record's title, in whichever block it is, also
// after some were removed.
func TestTitles_OfASealedChunk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail := newTail(1)
		want := map[uint16]string{}
		for _, at := range positions.Draw(t, "records") {
			title := rapid.SampledFrom([]string{"泵房故障", "pump 故", "b", "电网 调度"}).Draw(t, "title")
			tail.add(at, nil, extract.KindTitle, &extract.Entry{Title: title})
			want[at] = title
		}
		gone := new(postings.Set)
		for _, at := range positions.Draw(t, "gone") {
			gone.Add(at)
		}
		for at := range want {
			if rapid.IntRange(0, 3).Draw(t, "goes") == 0 {
				gone.Add(at)
			}
		}
		read := func(Blocks map[extract.Term][]byte) map[uint16]string {
			out := map[uint16]string{}
			for id, raw := range Blocks {
				require.NoError(t, postings.Titles(raw).Each(func(title []byte, p postings.List) error {
					var s postings.Set
					require.NoError(t, p.AddTo(&s))
					require.True(t, p.Intersects(&s))
					for at := range s.All() {
						require.EqualValues(t, id.Number(), at>>titleShift)
						out[at] = string(title)
					}
					return nil
				}))
			}
			return out
		}
		Blocks := tail.titleBlocks()
		require.Equal(t, want, read(Blocks))
		for id, raw := range Blocks {
			rest, differs, err := postings.Titles(raw).Without(gone)
			require.NoError(t, err)
			require.Equal(t, differs, !slices.Equal(rest, raw))
			if len(rest) == 0 {
				delete(Blocks, id)
			} else {
				Blocks[id] = rest
			}
		}
		for at := range gone.All() {
			delete(want, at)
		}
		require.Equal(t, want, read(Blocks))
		tail.forget(gone)
		require.Equal(t, want, read(tail.titleBlocks()))
	})
}
