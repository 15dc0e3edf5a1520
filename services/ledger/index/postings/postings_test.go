package postings

import (
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func setOf(list []uint16) *Set {
	s := new(Set)
	for _, p := range list {
		s.Add(p)
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
func TestPostings_EncodeAndDecodeASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, other := anyPositions(4110).Draw(t, "list"), anyPositions(4110).Draw(t, "other")
		s := setOf(list)
		p := s.Encode()
		require.Equal(t, p, EncodeList(list))
		require.NoError(t, p.Check())
		require.LessOrEqual(t, len(p), MaxBytes)
		require.Equal(t, list, append([]uint16{}, slices.Collect(s.All())...))
		require.Equal(t, len(list), s.Count())
		require.Equal(t, len(list) == 0, s.IsEmpty())

		var back Set
		require.NoError(t, p.AddTo(&back))
		require.Equal(t, *s, back)
		both := *setOf(other)
		require.NoError(t, p.And(&both))
		for _, at := range other {
			require.Equal(t, s.Has(at), both.Has(at))
		}
		require.Equal(t, len(other), both.Count()+len(slices.DeleteFunc(slices.Clone(other), s.Has)))

		rest, differs, err := p.Without(setOf(other))
		require.NoError(t, err)
		left := slices.DeleteFunc(slices.Clone(list), setOf(other).Has)
		require.Equal(t, []byte(EncodeList(left)), rest)
		require.Equal(t, len(left) != len(list), differs)
	})
}

func TestSet_Fill(t *testing.T) {
	for _, r := range [][2]int{{0, 0}, {0, 63}, {0, 64}, {63, 64}, {5, 200}, {64, 127}, {0, ChunkSize - 1}, {ChunkSize - 1, ChunkSize - 1}, {7, 6}} {
		var s Set
		s.Fill(r[0], r[1])
		require.Equal(t, r[1]-r[0]+1, s.Count(), r)
		for at := range s.All() {
			require.True(t, r[0] <= int(at) && int(at) <= r[1], "%v has %d", r, at)
		}
	}
}

func TestBucket_EncodeAndDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.MapOf(rapid.Uint64(), anyPositions(0)).Draw(t, "tokens")
		var b Bucket
		last := uint64(0)
		for _, token := range slices.Sorted(maps.Keys(kept)) {
			b, last = b.Append(last, token, EncodeList(kept[token])), token
		}
		for token, list := range kept {
			found, err := b.Find(token)
			require.NoError(t, err)
			require.Equal(t, EncodeList(list), append(List{}, found...))
		}
		other := rapid.Uint64().Draw(t, "other") // nearly always absent
		found, err := b.Find(other)
		require.NoError(t, err)
		require.Equal(t, EncodeList(kept[other]), append(List{}, found...))
		gone := setOf(anyPositions(0).Draw(t, "gone"))
		rest, _, err := b.Without(gone)
		require.NoError(t, err)
		for token, list := range kept {
			found, err := Bucket(rest).Find(token)
			require.NoError(t, err)
			require.Equal(t, EncodeList(slices.DeleteFunc(slices.Clone(list), gone.Has)), append(List{}, found...))
		}
	})
}

// Whatever the file contains, reading it ends; if we did not write it, with an error that
// makes the index be rebuilt.
func FuzzPostings(f *testing.F) {
	f.Add([]byte(EncodeList([]uint16{1, 2, 900})))
	f.Add([]byte(setOf([]uint16{3}).Encode()))
	f.Add(make([]byte, MaxBytes))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, all Set
		all.Fill(0, ChunkSize-1)
		err := List(raw).AddTo(&s)
		if err != nil {
			require.True(t, errors.Is(err, ErrDamaged))
			return
		}
		require.NoError(t, List(raw).And(&all))
		require.Equal(t, s, all)
		require.Equal(t, append([]byte{}, raw...), append([]byte{}, s.Encode()...), "one set, one form")
	})
}

func FuzzBucket(f *testing.F) {
	f.Add([]byte(Bucket(nil).Append(0, 5, EncodeList([]uint16{1})).Append(5, 9, EncodeList([]uint16{1, 2}))), uint64(9))
	f.Add([]byte{0x80}, uint64(0))
	f.Add([]byte{5, 100, 1}, uint64(5))
	f.Fuzz(func(t *testing.T, raw []byte, token uint64) {
		seen, last := 0, uint64(0)
		err := Bucket(raw).Each(func(at uint64, _ List) bool {
			require.True(t, seen == 0 || at > last)
			seen, last = seen+1, at
			return true
		})
		_, found := Bucket(raw).Find(token)
		if err == nil {
			require.NoError(t, found)
		} else {
			require.True(t, errors.Is(err, ErrDamaged))
		}
	})
}

func TestTimes_EncodeAndDecode(t *testing.T) {
	times := NoTimes()
	by := int64(99)
	times.Add(0, 5, &by)
	times.Add(1, 3, nil)
	times.Add(ChunkSize-1, -4, nil)
	back, err := DecodeTimes(times.Encode())
	require.NoError(t, err)
	require.Equal(t, times, back)
	require.Equal(t, Span{3, 5}, back[0].Reported)
	require.Equal(t, Span{99, 99}, back[0].By)
	require.Equal(t, emptySpan, back[1].Reported)
	_, err = DecodeTimes([]byte("short"))
	require.True(t, errors.Is(err, ErrDamaged))
}
