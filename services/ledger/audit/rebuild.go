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

// errTilesGone is returned for tiles that were written and are missing. That is no damage: the
// tree is rebuilt from the stream, and must give the root that was signed.
var errTilesGone = errors.New("tiles of the tree are missing: it is being rebuilt from the stream")

// onlyMissing reports whether all tiles that an error names are missing, none is changed, and
// the tree can be rebuilt: not if the record is damaged, or may be.
func (l *Log) onlyMissing(err error) bool {
	wrong := evidence.TileErrors(err)
	for _, tile := range wrong {
		if !errors.Is(tile, fs.ErrNotExist) {
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(wrong) > 0 && len(l.damage) == 0 && !l.uncleared
}

// requestRebuild requests a rebuild of the tree, unless one is running, and returns
// errTilesGone.
func (l *Log) requestRebuild(err error) error {
	l.treeMu.Lock()
	rebuilding := l.target.Size > 0
	l.treeMu.Unlock()
	if !rebuilding {
		select {
		case l.missingTiles <- err:
		default:
		}
	}
	return fmt.Errorf("%w (%w)", errTilesGone, err)
}

// forgetTree starts a new tree, which must give the root of the last checkpoint.
func (l *Log) forgetTree(err error) {
	l.deps.Log.Error("tiles are missing; rebuilding the tree from the stream", zap.Error(err))
	target := l.Last()
	l.treeMu.Lock()
	l.tree, l.written, l.target = nil, 0, target
	l.treeMu.Unlock()
	select {
	case <-l.missingTiles:
	default:
	}
	if err := l.openTree(); err != nil { // certify tries again
		l.setFailure(err)
	}
}

// guardTiles watches the tiles and the checkpoint beside them, so that their loss is
// noticed although nothing reads them. sign writes a lost checkpoint again.
func (l *Log) guardTiles(ctx context.Context, grown chan<- struct{}) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-l.missingTiles:
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := os.Stat(filepath.Join(string(l.folder), "tile")); errors.Is(err, fs.ErrNotExist) && l.Readable() > 0 {
			return fmt.Errorf("%w (%w)", errTilesGone, err)
		}
		if _, err := os.Stat(filepath.Join(string(l.folder), checkpointFile)); errors.Is(err, fs.ErrNotExist) {
			signal(grown)
		}
	}
}

// restoreCheckpoint writes the last checkpoint beside the tree if it is missing.
func (l *Log) restoreCheckpoint(cp evidence.Checkpoint) error {
	path := filepath.Join(string(l.folder), checkpointFile)
	if _, err := os.Stat(path); cp.Note == "" || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return evidence.WriteFile(path, []byte(cp.Note))
}

// setFailure notes why nothing is certified at the moment; nil: certification works.
func (l *Log) setFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
}

// CertificationFailure returns why nothing is certified at the moment although the record
// is not damaged. It returns nil while certification works.
func (l *Log) CertificationFailure() error {
	l.treeMu.Lock()
	rebuilding := l.target.Size > 0
	l.treeMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil && rebuilding {
		return errTilesGone
	}
	return l.failure
}
