//go:build !linux

package natsd

// memoryFolders returns none: not implemented for this system.
func memoryFolders() []string { return nil }

func folderMark(string) string { return "" }

func hasMemory(string, uint64) bool { return false }
