package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// errTilesGone is of tiles that were written and are missing. That is not damage: the
// tree is rebuilt from the stream, and must give the root that was signed.
var errTilesGone = errors.New("tiles of the tree are gone: it is rebuilt from the stream")

// areGone reports whether all tiles that an error names are missing, none is changed, and
// the tree can be rebuilt: not if the record is damaged, or may be.
func (p *Log) areGone(err error) bool {
	wrong := evidence.TileErrors(err)
	for _, tile := range wrong {
		if !errors.Is(tile, fs.ErrNotExist) {
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(wrong) > 0 && len(p.damage) == 0 && !p.doubt
}

// tilesGone requests a rebuild of the tree, unless one is running, and returns
// errTilesGone.
func (p *Log) tilesGone(err error) error {
	p.treeMu.Lock()
	rebuilding := p.floor.Size > 0
	p.treeMu.Unlock()
	if !rebuilding {
		select {
		case p.lost <- err:
		default:
		}
	}
	return fmt.Errorf("%w (%w)", errTilesGone, err)
}

// forgetTree starts a new tree, which must give the root of the last checkpoint.
func (p *Log) forgetTree(err error) {
	p.deps.Log.Error("tiles of the tree are gone; the tree is rebuilt from the stream", zap.Error(err))
	floor := p.Last()
	p.treeMu.Lock()
	p.tree, p.written, p.floor = nil, 0, floor
	p.treeMu.Unlock()
	select {
	case <-p.lost:
	default:
	}
	if err := p.openTree(); err != nil { // certify tries again
		p.stall(err)
	}
}

// guardTiles watches the tiles and the checkpoint beside them, so that their loss is
// noticed although nothing reads them. sign writes a lost checkpoint again.
func (p *Log) guardTiles(ctx context.Context, grown chan<- struct{}) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-p.lost:
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := os.Stat(filepath.Join(string(p.folder), "tile")); errors.Is(err, fs.ErrNotExist) && p.Readable() > 0 {
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		}
		if _, err := os.Stat(filepath.Join(string(p.folder), checkpointFile)); errors.Is(err, fs.ErrNotExist) {
			select {
			case grown <- struct{}{}:
			default:
			}
		}
	}
}

// restoreCheckpoint writes the last checkpoint beside the tree if it is missing.
func (p *Log) restoreCheckpoint(cp evidence.Checkpoint) error {
	path := filepath.Join(string(p.folder), checkpointFile)
	if _, err := os.Stat(path); cp.Note == "" || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return evidence.WriteFile(path, []byte(cp.Note))
}

// stall notes why nothing is certified at the moment; nil: certification works.
func (p *Log) stall(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = err
}

// CertificationFailure returns why nothing is certified at the moment although the record
// is not damaged. It returns nil while certification works.
func (p *Log) CertificationFailure() error {
	p.treeMu.Lock()
	rebuilding := p.floor.Size > 0
	p.treeMu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil && rebuilding {
		return errTilesGone
	}
	return p.stalled
}
