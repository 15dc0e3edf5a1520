package index

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func setOf(list []uint16) *set {
	s := new(set)
	for _, p := range list {
		s.add(p)
	}
	return s
}

func anyPositions(most int) *rapid.Generator[[]uint16] {
	return rapid.Custom(func(t *rapid.T) []uint16 {
		list := rapid.SliceOfNDistinct(rapid.Uint16(), 0, 20, rapid.ID[uint16]).Draw(t, "positions")
		if most > 0 && rapid.Bool().Draw(t, "dense") { // so many that they are stored as a bitmap
			from, n := rapid.IntRange(0, math.MaxUint16-most).Draw(t, "from"), rapid.IntRange(most-20, most).Draw(t, "run")
			for p := from; p < from+n; p++ {
				list = append(list, uint16(p))
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	})
}

// Postings have the same positions as their set, in either form.
func TestPostingsKeepASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, other := anyPositions(4110).Draw(t, "list"), anyPositions(4110).Draw(t, "other")
		s := setOf(list)
		p := s.encode()
		require.Equal(t, p, encodeList(list))
		require.NoError(t, p.check())
		require.LessOrEqual(t, len(p), setBytes)
		require.Equal(t, list, append([]uint16{}, slices.Collect(s.all())...))
		require.Equal(t, len(list), s.count())
		require.Equal(t, len(list) == 0, s.empty())

		var back set
		require.NoError(t, p.addTo(&back))
		require.Equal(t, *s, back)
		both := *setOf(other)
		require.NoError(t, p.and(&both))
		for _, at := range other {
			require.Equal(t, s.has(at), both.has(at))
		}
		require.Equal(t, len(other), both.count()+len(slices.DeleteFunc(slices.Clone(other), s.has)))

		rest, differs, err := p.without(setOf(other))
		require.NoError(t, err)
		left := slices.DeleteFunc(slices.Clone(list), setOf(other).has)
		require.Equal(t, []byte(encodeList(left)), rest)
		require.Equal(t, len(left) != len(list), differs)
	})
}

func TestASetIsFilled(t *testing.T) {
	for _, r := range [][2]int{{0, 0}, {0, 63}, {0, 64}, {63, 64}, {5, 200}, {64, 127}, {0, chunkSize - 1}, {chunkSize - 1, chunkSize - 1}, {7, 6}} {
		var s set
		s.fill(r[0], r[1])
		require.Equal(t, r[1]-r[0]+1, s.count(), r)
		if r[1] >= r[0] {
			require.True(t, s.has(uint16(r[0])) && s.has(uint16(r[1])), r)
		}
	}
}

func TestABucketKeepsItsTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.MapOf(rapid.Uint64(), anyPositions(0)).Draw(t, "tokens")
		var b bucket
		last := uint64(0)
		for _, token := range slices.Sorted(maps.Keys(kept)) {
			b, last = b.append(last, token, encodeList(kept[token])), token
		}
		for token, list := range kept {
			found, err := b.find(token)
			require.NoError(t, err)
			require.Equal(t, encodeList(list), append(postings{}, found...))
		}
		absent := rapid.Uint64().Draw(t, "absent")
		found, err := b.find(absent)
		require.NoError(t, err)
		if _, is := kept[absent]; !is {
			require.Empty(t, found)
		}
		gone := setOf(anyPositions(0).Draw(t, "gone"))
		rest, _, err := b.without(gone)
		require.NoError(t, err)
		for token, list := range kept {
			found, err := bucket(rest).find(token)
			require.NoError(t, err)
			require.Equal(t, encodeList(slices.DeleteFunc(slices.Clone(list), gone.has)), append(postings{}, found...))
		}
	})
}

// Whatever the file contains, reading it ends; if we did not write it, with an error that
// makes the index be rebuilt.
func FuzzPostings(f *testing.F) {
	f.Add([]byte(encodeList([]uint16{1, 2, 900})))
	f.Add([]byte(setOf([]uint16{3}).encode()))
	f.Add(make([]byte, setBytes))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, all set
		all.fill(0, chunkSize-1)
		err := postings(raw).addTo(&s)
		if err != nil {
			require.True(t, isDamaged(err))
			return
		}
		require.NoError(t, postings(raw).and(&all))
		require.Equal(t, s, all)
		require.Equal(t, append([]byte{}, raw...), append([]byte{}, s.encode()...), "one set, one form")
	})
}

func FuzzBucket(f *testing.F) {
	f.Add([]byte(bucket(nil).append(0, 5, encodeList([]uint16{1})).append(5, 9, encodeList([]uint16{1, 2}))), uint64(9))
	f.Add([]byte{0x80}, uint64(0))
	f.Add([]byte{5, 100, 1}, uint64(5))
	f.Fuzz(func(t *testing.T, raw []byte, token uint64) {
		seen, last := 0, uint64(0)
		err := bucket(raw).each(func(at uint64, _ postings) bool {
			require.True(t, seen == 0 || at > last)
			seen, last = seen+1, at
			return true
		})
		_, found := bucket(raw).find(token)
		if err == nil {
			require.NoError(t, found)
		} else {
			require.True(t, isDamaged(err))
		}
	})
}

func TestTimesAreKept(t *testing.T) {
	times := noTimes()
	by := int64(99)
	times.add(0, 5, &by)
	times.add(1, 3, nil)
	times.add(chunkSize-1, -4, nil)
	back, err := decodeTimes(times.encode())
	require.NoError(t, err)
	require.Equal(t, times, back)
	require.Equal(t, span{3, 5}, back[0].reported)
	require.Equal(t, span{99, 99}, back[0].by)
	require.Equal(t, nowhere, back[1].reported)
	_, err = decodeTimes([]byte("short"))
	require.True(t, isDamaged(err))
}
