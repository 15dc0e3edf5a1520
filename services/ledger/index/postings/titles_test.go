package postings

import (
	"errors"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"
)

func FuzzTitles(f *testing.F) {
	f.Add(appendTitle(nil, "泵房故障", EncodeList([]uint16{1, 900})))
	f.Add([]byte{0x80})
	f.Add([]byte{5, 100, 1})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var again []byte
		err := Titles(s2.Encode(nil, plain)).Each(func(title []byte, p List) error {
			again = appendTitle(again, string(title), p)
			return p.Check()
		})
		if err != nil {
			require.True(t, errors.Is(err, ErrDamaged))
		}
		if err := Titles(plain).Each(func([]byte, List) error { return nil }); err != nil { // not even compressed
			require.True(t, errors.Is(err, ErrDamaged))
		}
	})
}
