package export

import (
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// checkTiles checks every tile of the range, and every other tile in the export, against
// the checkpoint.
func (c *check) checkTiles() {
	g := c.group()
	check := func(p evidence.TilePath) {
		g.Go(func() error {
			faults := c.tree.Check(p)
			for _, err := range faults {
				c.addTileFault(err, storedFaultFormat)
			}
			if p.Level == evidence.EntriesLevel && len(faults) == 0 {
				c.entries.Add(uint64(p.Width))
			}
			return nil
		})
	}
	first, last := (c.manifest.First-1)/evidence.TileWidth, (max(c.manifest.Last, 1)-1)/evidence.TileWidth
	inRange := func(p evidence.TilePath) bool {
		return p.Level <= 0 && c.manifest.Last >= c.manifest.First && first <= p.Index && p.Index <= last
	}
	for index := first; index <= last && inRange(evidence.TilePath{Index: index}) && c.ctx.Err() == nil; index++ {
		p := c.tree.Path(0, index)
		check(p)
		p.Level = evidence.EntriesLevel
		check(p)
	}
	for _, f := range c.manifest.Files {
		if !strings.HasPrefix(f.Path, tileFolder) || c.ctx.Err() != nil {
			continue
		}
		p, err := evidence.ParseTilePath(f.Path)
		switch {
		case err != nil:
			c.addFinding(0, f.Path, "%v", err)
		case !inRange(p) || p.Width != c.tree.Path(p.Level, p.Index).Width:
			check(p)
		}
	}
	_ = g.Wait() // faults are findings
}

func (c *check) group() *errgroup.Group {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	return &g
}
