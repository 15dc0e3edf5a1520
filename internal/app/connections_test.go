package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/listener"
)

func TestConnectionBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		asked       listener.Bounds
		descriptors int
		want        listener.Bounds
		fails       string
	}{
		{"many descriptors", listener.Bounds{}, 1 << 20, listener.Bounds{Total: maxConnections, PerAddress: maxConnections / 2}, ""},
		{"512 descriptors", listener.Bounds{}, 512, listener.Bounds{Total: 192, PerAddress: 96}, ""},
		{"too few descriptors", listener.Bounds{}, 150, listener.Bounds{}, "allow 160 at least"},
		{"more than asked by default", listener.Bounds{Total: 20000, PerAddress: 20000}, 1 << 20, listener.Bounds{Total: 20000, PerAddress: 20000}, ""},
		{"more than there is room for", listener.Bounds{Total: 300}, 512, listener.Bounds{}, "needs 728 open files"},
		{"one address only", listener.Bounds{PerAddress: 7}, 512, listener.Bounds{Total: 192, PerAddress: 7}, ""},
	} {
		got, err := connectionBounds(c.asked, c.descriptors)
		if c.fails != "" {
			require.ErrorContains(t, err, c.fails, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}
