package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Dir is a folder with tiles, at their paths below it. A missing partial tile is read
// from the full one, or from a wider partial one: a Tree removes partial tiles that have
// become full.
type Dir string

// Tile reads a tile. It is safe while a Tree writes to the folder.
func (d Dir) Tile(path string) ([]byte, error) {
	p, err := ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	data, err := d.read(path)
	if p.Width == TileWidth || !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	full := TilePath{p.Level, p.Index, TileWidth}
	data, err = d.read(full.String())
	if errors.Is(err, fs.ErrNotExist) {
		var wider string
		if wider, err = d.wider(p); err == nil {
			data, err = d.read(wider)
		}
		if errors.Is(err, fs.ErrNotExist) { // it may have become full meanwhile
			data, err = d.read(full.String())
		}
	}
	if err != nil {
		return nil, err
	}
	return data[:min(len(data), p.bytes())], nil
}

func (d Dir) read(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), filepath.FromSlash(path)))
}

// wider returns the path of the narrowest partial tile that contains another.
func (d Dir) wider(p TilePath) (string, error) {
	folder, _, _ := strings.Cut(p.String(), ".p/")
	folder += ".p"
	names, err := os.ReadDir(filepath.Join(string(d), filepath.FromSlash(folder)))
	if err != nil {
		return "", err
	}
	best := TileWidth
	for _, name := range names {
		if width, err := strconv.Atoi(name.Name()); err == nil && width > p.Width && width < best {
			best = width
		}
	}
	if best == TileWidth {
		return "", &fs.PathError{Op: "open", Path: p.String(), Err: fs.ErrNotExist}
	}
	return folder + "/" + strconv.Itoa(best), nil
}
