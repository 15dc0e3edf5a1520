package natsd

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// memoryFolders returns the folders in memory that a program may use: the one that
// systemd created for it and removes when it stops (RuntimeDirectory=), and the shared
// one.
func memoryFolders() []string {
	own, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if own == "" {
		return []string{"/dev/shm"}
	}
	return []string{own, "/dev/shm"}
}

// folderMark returns a mark that distinguishes a folder from every copy of it while the
// machine runs.
func folderMark(dir string) string {
	var s syscall.Stat_t
	if err := syscall.Stat(dir, &s); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%x.%x", s.Dev, s.Ino)
}

const tmpfsMagic = 0x01021994 // statfs(2)

// hasMemory reports whether a folder is in memory and has that much room.
func hasMemory(folder string, room uint64) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(folder, &s) == nil && s.Type == tmpfsMagic && s.Bavail*uint64(s.Bsize) >= room
}
