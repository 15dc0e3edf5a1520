package index

import (
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The stored titles of a chunk give each record's title, in whichever block it is, also
// after some were removed.
func TestTitlesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail := newTail(1)
		want := map[uint16]string{}
		for _, at := range anyPositions(0).Draw(t, "records") {
			title := rapid.SampledFrom([]string{"泵房故障", "pump 故", "b", "电网 调度"}).Draw(t, "title")
			tail.add(at, nil, kindTitle, &entry{title: title})
			want[at] = title
		}
		gone := setOf(anyPositions(0).Draw(t, "gone"))
		for at := range want {
			if rapid.IntRange(0, 3).Draw(t, "goes") == 0 {
				gone.add(at)
			}
		}
		read := func(blocks map[term][]byte) map[uint16]string {
			out := map[uint16]string{}
			for id, raw := range blocks {
				require.NoError(t, titles(raw).each(func(title []byte, p postings) error {
					var s set
					require.NoError(t, p.addTo(&s))
					require.True(t, p.meets(&s))
					for at := range s.all() {
						require.EqualValues(t, id.number(), at>>titleShift)
						out[at] = string(title)
					}
					return nil
				}))
			}
			return out
		}
		blocks := tail.titleBlocks()
		require.Equal(t, want, read(blocks))
		for id, raw := range blocks {
			rest, differs, err := titles(raw).without(gone)
			require.NoError(t, err)
			require.Equal(t, differs, !slices.Equal(rest, raw))
			if len(rest) == 0 {
				delete(blocks, id)
			} else {
				blocks[id] = rest
			}
		}
		for at := range gone.all() {
			delete(want, at)
		}
		require.Equal(t, want, read(blocks))
		tail.forget(gone)
		require.Equal(t, want, read(tail.titleBlocks()))
	})
}

func FuzzTitles(f *testing.F) {
	f.Add(appendTitle(nil, "泵房故障", encodeList([]uint16{1, 900})))
	f.Add([]byte{0x80})
	f.Add([]byte{5, 100, 1})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var again []byte
		err := titles(s2.Encode(nil, plain)).each(func(title []byte, p postings) error {
			again = appendTitle(again, string(title), p)
			return p.check()
		})
		if err != nil {
			require.True(t, isDamaged(err))
		}
		if err := titles(plain).each(func([]byte, postings) error { return nil }); err != nil { // not even compressed
			require.True(t, isDamaged(err))
		}
	})
}
