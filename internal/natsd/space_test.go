package natsd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpace_InodesRunOut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		room Room
		want level
		says string
	}{
		{Room{Free: 900 << 20, Total: 1000 << 20}, levelOK, "900 MiB are free"},
		{Room{Free: 900 << 20, Total: 1000 << 20, Files: 5000, FilesKnown: true}, levelOK, "900 MiB are free"},
		{Room{Free: 900 << 20, Total: 1000 << 20, Files: 1000, FilesKnown: true}, levelLow, "900 MiB are free"},
		{Room{Free: 900 << 20, Total: 1000 << 20, Files: 255, FilesKnown: true}, levelReserve, "255 inodes are left, whatever bytes are free"},
		{Room{Free: 900 << 20, Total: 1000 << 20, Files: 63, FilesKnown: true}, levelFull, "63 inodes are left, whatever bytes are free"},
		{Room{Free: 2 << 20, Total: 1000 << 20, Files: 5000, FilesKnown: true}, levelFull, "2.0 MiB are free"},
	} {
		s := newSpace("", 0, func(string) (Room, error) { return row.room, nil })
		room, level := s.check(0)
		require.Equal(t, row.want, level, row.says)
		require.Equal(t, row.says, room.remaining())
	}
}
