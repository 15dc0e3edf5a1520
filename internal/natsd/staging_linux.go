package natsd

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// memoryFolders are where a program may keep files in memory: the folder that systemd
// gave it, which lives as long as it runs (RuntimeDirectory=), or that of all.
func memoryFolders() []string {
	own, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if own == "" {
		return []string{"/dev/shm"}
	}
	return []string{own, "/dev/shm"}
}

// folderMark tells a folder from every copy of it, for as long as the machine runs.
func folderMark(dir string) string {
	var s syscall.Stat_t
	if err := syscall.Stat(dir, &s); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%x.%x", s.Dev, s.Ino)
}

const tmpfsMagic = 0x01021994 // statfs(2)

// hasMemory reports whether a folder is in memory, with so much room.
func hasMemory(folder string, room uint64) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(folder, &s) == nil && int64(s.Type) == tmpfsMagic && s.Bavail*uint64(s.Bsize) >= room
}
