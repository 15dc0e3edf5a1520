//go:build linux || darwin || freebsd

package natsd

import "golang.org/x/sys/unix"

// diskRoom asks a folder's file system how much this process may use of it.
func diskRoom(dir string) (Room, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Room{}, err
	}
	size := uint64(s.Bsize)
	return Room{
		Free: uint64(s.Bavail) * size, Total: s.Blocks * size, //nolint:unconvert // signed on FreeBSD
		Files: uint64(s.Ffree), FilesKnown: s.Files > 0, //nolint:unconvert // signed on FreeBSD
	}, nil
}
