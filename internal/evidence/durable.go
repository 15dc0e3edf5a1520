package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-project/tocsin/internal/private"
)

type file struct {
	path string
	data []byte
}

// disk writes files so that a crash at any moment leaves either the old file or the new
// one.
type disk struct {
	// made are the folders that certainly exist, even after a power failure.
	made  map[string]bool
	swept map[string]bool // folders without left-overs of a crash
	// step, unless nil, is called before each operation on the disk. Its error ends the
	// work there, as a crash would.
	step func(op, path string) error
}

// newDisk returns a disk that writes below an existing folder.
func newDisk(root string) *disk {
	return &disk{made: map[string]bool{filepath.Clean(root): true}, swept: map[string]bool{}}
}

// WriteFile durably writes a file that only its owner can read, in an existing folder:
// after a crash the old file or the new one exists. Whether others can write to the
// folder is checked when the program starts, not here: changing a mode must not stop the
// recording.
func WriteFile(path string, data []byte) error {
	return newDisk(filepath.Dir(path)).write(file{path, data})
}

// write makes files durable, and the folders that they need: all files are written beside
// their place, then synced, then renamed, and then their folders are synced. Together
// they cost the disk little more than one.
func (d *disk) write(files ...file) (err error) {
	open := make([]*os.File, 0, len(files))
	defer func() {
		for _, f := range open {
			_ = f.Close() // already synced, or not needed
			if err != nil {
				_ = os.Remove(f.Name())
			}
		}
	}()
	changed := map[string]bool{} // folders
	for _, f := range files {
		dir := filepath.Dir(f.path)
		if err := d.mkdir(dir, changed); err != nil {
			return err
		}
		changed[dir] = true
		if err := d.beforeStep("create", f.path); err != nil {
			return err
		}
		w, err := private.Temp(f.path)
		if err != nil {
			return err
		}
		open = append(open, w)
		if !d.swept[dir] {
			private.Sweep(w)
			d.swept[dir] = true
		}
		if err := d.beforeStep("write", f.path); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	if err := d.sync(files, open); err != nil {
		return err
	}
	for i, f := range files {
		if err := d.beforeStep("rename", f.path); err != nil {
			return err
		}
		if err := os.Rename(open[i].Name(), f.path); err != nil {
			return err
		}
	}
	if err := d.syncDirs(changed); err != nil {
		return err
	}
	for dir := range changed {
		d.made[dir] = true // the folder above it is in changed, too, or was made before
	}
	return nil
}

// maxSyncs is how many files are synced concurrently: the disk then makes them durable
// together.
const maxSyncs = 16

func (d *disk) sync(files []file, open []*os.File) error {
	var group errgroup.Group
	group.SetLimit(maxSyncs)
	for i, f := range files {
		if err := d.beforeStep("sync", f.path); err != nil {
			_ = group.Wait() // the files are still in use
			return err
		}
		group.Go(open[i].Sync)
	}
	return group.Wait()
}

// mkdir makes a folder and those above it, and adds to changed every folder that then
// contains one which may not be durable.
func (d *disk) mkdir(dir string, changed map[string]bool) error {
	if d.made[dir] || changed[dir] {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := d.mkdir(parent, changed); err != nil {
		return err
	}
	changed[parent] = true
	if err := d.beforeStep("mkdir", dir); err != nil {
		return err
	}
	if err := private.NewFolder(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// syncDirs syncs folders concurrently, as sync does files.
func (d *disk) syncDirs(dirs map[string]bool) error {
	var group errgroup.Group
	group.SetLimit(maxSyncs)
	for dir := range dirs {
		if err := d.beforeStep("syncdir", dir); err != nil {
			_ = group.Wait()
			return err
		}
		group.Go(func() error { return private.SyncFolder(dir) })
	}
	return group.Wait()
}

// remove deletes a file or a folder. It need not be durable: a removed file is not
// needed, and does no harm if it reappears.
func (d *disk) remove(path string) error {
	if err := d.beforeStep("remove", path); err != nil {
		return err
	}
	delete(d.made, path)
	return os.RemoveAll(path)
}

func (d *disk) beforeStep(op, path string) error {
	if d.step == nil {
		return nil
	}
	return d.step(op, path)
}
