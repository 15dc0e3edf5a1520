//go:build !linux

package natsd

// memoryFolders are none: nobody has looked where this system has them.
func memoryFolders() []string { return nil }

func folderMark(string) string { return "" }

func hasMemory(string, uint64) bool { return false }
