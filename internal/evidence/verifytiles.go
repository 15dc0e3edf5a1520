package evidence

import (
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// checkTiles checks every tile of the range, and every other tile in the export, against
// the checkpoint.
func (c *exportCheck) checkTiles() {
	g := c.group()
	check := func(p TilePath) {
		g.Go(func() error {
			faults := c.tree.check(p)
			for _, err := range faults {
				c.fault(err, ofStored)
			}
			if p.Level == EntriesLevel && len(faults) == 0 {
				c.entries.Add(uint64(p.Width))
			}
			return nil
		})
	}
	first, last := (c.manifest.First-1)/tileWidth, (max(c.manifest.Last, 1)-1)/tileWidth
	inRange := func(p TilePath) bool {
		return p.Level <= 0 && c.manifest.Last >= c.manifest.First && first <= p.Index && p.Index <= last
	}
	for index := first; index <= last && inRange(TilePath{Index: index}) && c.ctx.Err() == nil; index++ {
		p := c.tree.path(0, index)
		check(p)
		p.Level = EntriesLevel
		check(p)
	}
	for _, f := range c.manifest.Files {
		if !strings.HasPrefix(f.Path, tileFolder) || c.ctx.Err() != nil {
			continue
		}
		p, err := ParseTilePath(f.Path)
		switch {
		case err != nil:
			c.find(0, f.Path, "%v", err)
		case !inRange(p) || p.Width != c.tree.path(p.Level, p.Index).Width:
			check(p)
		}
	}
	_ = g.Wait() // faults are findings
}

// group runs work on every core.
func (c *exportCheck) group() *errgroup.Group {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	return &g
}
