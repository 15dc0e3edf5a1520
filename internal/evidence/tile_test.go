package evidence

import (
	"io/fs"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTilePath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]TilePath{
		"tile/0/000":                     {0, 0, 256},
		"tile/0/x001/234":                {0, 1234, 256},
		"tile/0/x001/x234/067":           {0, 1_234_067, 256},
		"tile/entries/000.p/17":          {EntriesLevel, 0, 17},
		"tile/entries/x001/234.p/255":    {EntriesLevel, 1234, 255},
		"tile/63/000.p/1":                {63, 0, 1},
		"tile/2/x999/x999/x999/x999/999": {2, 999_999_999_999_999, 256},
	} {
		got, err := ParseTilePath(path)
		require.NoError(t, err, path)
		require.Equal(t, want, got)
		require.Equal(t, path, want.String())
	}
	for _, path := range []string{
		"", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/.p/1", "tile/0/x000/001",
		"tile/0/001/234", "tile/0/x001/x234", "tile/entries/x001", "tile/data/000", "tile/8/0/000", "/tile/0/000", "tile/0/000/",
		"tile//000", "tile/0/+01", "tile/0/000.p/+1", "tile/0/x001/234.p/1/2", "tile/../000", "tile/0/../../key", "Tile/0/000",
		"tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/x001/x000/x000/x000/x000/x000/x000/x000/x000/x000/x000/x000/x000/x000/x000/000",
	} {
		_, err := ParseTilePath(path)
		require.ErrorContains(t, err, "is not the path of a tile", path)
	}
}

func TestTilePath_ParsesWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := TilePath{rapid.IntRange(EntriesLevel, 63).Draw(t, "level"), rapid.Uint64Range(0, MaxSize-1).Draw(t, "index"), rapid.IntRange(1, 256).Draw(t, "width")}
		parsed, err := ParseTilePath(p.String())
		require.NoError(t, err)
		require.Equal(t, p, parsed)
	})
}

func FuzzParseTilePath(f *testing.F) {
	for _, path := range []string{"tile/0/x001/234", "tile/entries/000.p/17", "tile/63/x999/999.p/255", "tile/0/../x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := ParseTilePath(path)
		if err != nil {
			require.Zero(t, p)
			return
		}
		require.Equal(t, path, p.String())
		require.True(t, filepath.IsLocal(path) && fs.ValidPath(path), path)
		first, last := p.Records()
		require.LessOrEqual(t, first, last+1)
		require.Positive(t, p.bytes())
	})
}

func TestRecordsBelowATile(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]uint64{
		"tile/entries/000.p/17": {1, 17},
		"tile/0/001":            {257, 512},
		"tile/1/000.p/2":        {1, 512},
		"tile/1/001":            {65_537, 131_072},
		"tile/2/000":            {1, 1 << 24},
		"tile/7/000.p/63":       {1, 63 << 56},
		"tile/63/x999/999":      {MaxSize + 1, MaxSize},
	} {
		p, err := ParseTilePath(path)
		require.NoError(t, err)
		first, last := p.Records()
		require.Equal(t, want, [2]uint64{first, last}, path)
		require.Less(t, last, uint64(math.MaxUint64))
	}
}

func TestBundle_Format(t *testing.T) {
	t.Parallel()
	tiles := inMemory(largest[:300])
	for bit, want := range map[int]string{
		7:                   "entry 0 of it is not 32 bytes long",
		entrySize*8*3 + 8:   "entry 3 of it is not 32 bytes long",
		entrySize*8*43 + 13: "entry 43 of it is not 32 bytes long",
	} {
		damaged := tiles.flipped("tile/entries/001.p/44", bit)
		for _, err := range Entries(damaged, 290, 300) {
			require.ErrorContains(t, err, want)
		}
	}
}
