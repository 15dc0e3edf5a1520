// Package private writes files that hold secrets or evidence. Only its owner can read
// such a file, and its owner is the folder's owner, also when root writes it: the server
// can read what an administrator adds.
//
// A file is written under an unpredictable new name, synced and renamed, and then its
// folder is synced: after a crash the old or the new file exists. A symbolic link at the
// end of a path is not followed. A folder that others can write to is refused, with the
// command that fixes it: there they could remove or replace a file, or prepare one that
// receives a key.
package private

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Modes of created files and folders.
const (
	FileMode   = 0o600
	FolderMode = 0o700
)

// suffix ends the name of an incomplete file.
const suffix = ".new"

// Write stores a file durably in an existing folder that nobody else can write to. It
// replaces an existing file.
func Write(path string, data []byte) error { return write(path, data, Check) }

// WriteOutput is Write for a path that a person chose, which may be in a sticky folder
// such as /tmp.
func WriteOutput(path string, data []byte) error { return write(path, data, CheckShared) }

func write(path string, data []byte, check func(dir string) error) error {
	dir := filepath.Dir(path)
	if err := check(dir); err != nil {
		return err
	}
	f, err := Temp(path)
	if err != nil {
		return err
	}
	Sweep(f)
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it may hold part of a key
		return err
	}
	return SyncFolder(dir)
}

// Temp creates a file beside path, which the caller syncs and renames to path.
func Temp(path string) (*os.File, error) {
	return Create(path + "." + rand.Text() + suffix)
}

// Create creates a file. It fails if the file or a symbolic link exists.
func Create(path string) (*os.File, error) {
	return open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
}

// Lock opens a file to take locks on, and creates it if it is missing.
func Lock(path string) (*os.File, error) { return open(path, os.O_RDWR|os.O_CREATE) }

func open(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|noFollow, FileMode)
	if err != nil {
		return nil, err
	}
	if err := inherit(f, filepath.Dir(path)); err != nil {
		if flags&os.O_EXCL != 0 {
			_ = os.Remove(path)
		}
		return nil, errors.Join(fmt.Errorf("give %s the owner of its folder: %w", path, err), f.Close())
	}
	return f, nil
}

// MakeFolder creates a folder that only its owner can use, with missing parents, and
// checks it.
func MakeFolder(dir string) error {
	there := filepath.Clean(dir)
	for _, err := os.Stat(there); err != nil && there != filepath.Dir(there); _, err = os.Stat(there) {
		there = filepath.Dir(there)
	}
	if err := CheckShared(there); err != nil { // before creating anything in it
		return err
	}
	if err := MakeUnchecked(dir); err != nil {
		return err
	}
	return Check(dir)
}

// MakeUnchecked is MakeFolder for a folder whose parent was checked.
func MakeUnchecked(dir string) error {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err == nil {
		if info.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("exists and is not a folder")}
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeUnchecked(parent); err != nil {
			return err
		}
	}
	return NewFolder(dir)
}

// NewFolder creates one folder that only its owner can use; it fails if the folder
// exists.
func NewFolder(dir string) error {
	if err := os.Mkdir(dir, FolderMode); err != nil {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	defer f.Close() // read-only
	if err := inherit(f, filepath.Dir(dir)); err != nil {
		return fmt.Errorf("give %s the owner of its folder: %w", dir, err)
	}
	return nil
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// leftover is the age at which an incomplete file counts as abandoned.
const leftover = time.Hour

// Sweep removes abandoned incomplete files from the folder of a new file: they are
// useless, and may hold a key.
func Sweep(f *os.File) {
	dir := filepath.Dir(f.Name())
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	made, err := os.Stat(f.Name())
	if err != nil {
		return
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), suffix) || !file.Type().IsRegular() {
			continue
		}
		if info, err := file.Info(); err == nil && made.ModTime().Sub(info.ModTime()) > leftover {
			_ = os.Remove(filepath.Join(dir, file.Name()))
		}
	}
}
