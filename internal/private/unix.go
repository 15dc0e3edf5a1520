//go:build unix

package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tocsin-project/tocsin/internal/printable"
)

const noFollow = syscall.O_NOFOLLOW

// othersWrite are the mode bits by which others than the owner can change a folder.
const othersWrite = 0o022

// Check refuses a folder in which others can replace files. It must belong to the current
// user or root, or, if root runs this, to any user, who will then own the files; and
// neither its group nor others may write to it. Its parents must be as safe, but may be
// sticky folders such as /tmp, in which nobody can remove another user's files.
func Check(dir string) error { return check(dir, false) }

// CheckShared is Check for a folder that may itself be sticky.
func CheckShared(dir string) error { return check(dir, true) }

func check(dir string, sticky bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	owner, _ := ownerOf(info)
	if err := links(dir); err != nil {
		return err
	}
	if err := safe(real, owner, sticky); err != nil {
		return err
	}
	for above := filepath.Dir(real); ; above = filepath.Dir(above) {
		if err := safe(above, owner, true); err != nil || above == filepath.Dir(above) {
			return err
		}
	}
}

// links refuses a path through symbolic links of other users, who could redirect them.
func links(dir string) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		owner, known := ownerOf(info)
		if info.Mode()&fs.ModeSymlink != 0 && known && owner != 0 && owner != os.Geteuid() {
			return fmt.Errorf("%s is a symbolic link of user %d, who could redirect it: chown -h %d %s", dir, owner, os.Geteuid(), printable.ShellWord(dir))
		}
	}
	return nil
}

// safe refuses a folder that other users can write to. owner is the owner of the checked
// folder, to whom root gives the files that it writes.
func safe(dir string, owner int, sticky bool) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "check", Path: dir, Err: syscall.ENOTDIR}
	}
	uid, known := ownerOf(info)
	me := os.Geteuid()
	if known && uid != 0 && uid != me && (me != 0 || uid != owner) {
		want := me
		if me == 0 {
			want = owner
		}
		return fmt.Errorf("%s belongs to user %d, who could replace its files: chown %d %s", dir, uid, want, printable.ShellWord(dir))
	}
	mode := info.Mode()
	if mode.Perm()&othersWrite == 0 || sticky && mode&fs.ModeSticky != 0 {
		return nil
	}
	return fmt.Errorf("users other than the owner can write to %s (mode %04o) and replace its files: chmod go-w %s", dir, mode.Perm(), printable.ShellWord(dir))
}

// inherit gives a new file the owner of its folder if root created it.
func inherit(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	folder, ok := info.Sys().(*syscall.Stat_t)
	if !ok || folder.Uid == 0 {
		return nil
	}
	if info.Mode()&fs.ModeSticky != 0 && info.Mode().Perm()&othersWrite != 0 {
		return nil // a shared folder
	}
	if err := onlyName(f); err != nil {
		return err
	}
	if err := f.Chown(int(folder.Uid), int(folder.Gid)); err != nil {
		return err
	}
	return nil
}

// onlyName refuses a file that has other names: a hard link may have been planted to have
// its target given away.
func onlyName(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return nil // folders have no hard links
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || stat.Nlink != 1 {
		return errors.New("it is a hard link, or no regular file: remove it")
	}
	return nil
}

// SameOwner refuses folders of different owners if root works on them: root gives what it
// writes to the owner of the folder, and a key must not go to a user other than the owner
// of the whole.
func SameOwner(folders ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	first := -1
	for _, dir := range folders {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		owner, known := ownerOf(info)
		switch {
		case !known:
		case first < 0:
			first = owner
		case owner != first:
			return fmt.Errorf("%s belongs to user %d, and %s to user %d: find out who made it, then chown -R %d %s", folders[0], first, dir, owner, first, printable.ShellWord(dir))
		}
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
