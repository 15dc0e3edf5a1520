//go:build !linux

package natsd

// memoryFolders returns none: only Linux has folders in memory in a known place, so
// batches are staged on disk.
func memoryFolders() []string { return nil }

func folderMark(string) string { return "" }

func hasMemory(string, uint64) bool { return false }
