package bus

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// Of every atomic batch the engine (nats-server 2.15) first writes each record into a
// folder that it makes for the batch, with files that it syncs, then stores the records
// from there, and removes the folder. It reads none of it again after a crash: at its
// start it throws the folders away. So nothing is lost with them, and in memory a batch
// costs a third of a millisecond where it costs two or three on disk.
const (
	batchesFolder = "batches" // the engine's name for it, in a stream's folder
	stagingPrefix = "tocsin-batches-"
	stagingRoom   = 4 * batchBytes // free, or it is not used
)

// stage has the batches of a stream gathered in memory, and reports whether they are.
func (s *Server) stage(stream string) bool {
	if s.staging == "" {
		return false
	}
	s.stagingMu.Lock()
	defer s.stagingMu.Unlock()
	if len(stagingLinks(s.dir, stream)) > 0 {
		return true // for another bus
	}
	folders, err := fs.Glob(os.DirFS(s.dir), "jetstream/*/streams/"+stream)
	if err != nil || len(folders) != 1 {
		return false
	}
	target, err := os.MkdirTemp(s.staging, stream+"-")
	if err != nil {
		s.log.Debug("batches are gathered on disk", zap.String("stream", stream), zap.Error(err))
		return false
	}
	link := filepath.Join(s.dir, filepath.FromSlash(folders[0]), batchesFolder)
	_ = os.Remove(link) // an empty one; where it is not empty, the link cannot be made
	if err := os.Symlink(target, link); err != nil {
		s.log.Debug("batches are gathered on disk", zap.String("stream", stream), zap.Error(err))
		return false
	}
	return true
}

// unstage has them gathered on disk again: the place in memory is gone, or full.
func (s *Server) unstage(stream string) {
	s.stagingMu.Lock()
	defer s.stagingMu.Unlock()
	s.log.Warn("batches could not be gathered in memory, and are gathered on disk from here on", zap.String("stream", stream), zap.String("folder", s.staging))
	for _, link := range stagingLinks(s.dir, stream) {
		_ = os.Remove(link) // the engine makes a folder where there is none
	}
}

// newStaging makes the place in memory, and removes the one that a server left which
// was killed. Empty: there is none here.
func newStaging(dir string) string {
	for _, link := range stagingLinks(dir, "*") {
		if left, err := os.Readlink(link); err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(left)), stagingPrefix) {
			_ = os.RemoveAll(filepath.Dir(left)) // a few megabytes, at most
		}
	}
	for _, place := range memoryFolders() {
		if !hasMemory(place, stagingRoom) {
			continue
		}
		if made, err := os.MkdirTemp(place, stagingPrefix); err == nil {
			return made
		}
	}
	return ""
}

// endStaging removes the place and what leads there.
func (s *Server) endStaging() {
	if s.staging == "" {
		return
	}
	for _, link := range stagingLinks(s.dir, "*") {
		_ = os.Remove(link)
	}
	_ = os.RemoveAll(s.staging)
}

// stagingLinks are the links of streams to where their batches are gathered.
func stagingLinks(dir, stream string) []string {
	found, _ := fs.Glob(os.DirFS(dir), "jetstream/*/streams/"+stream+"/"+batchesFolder)
	var links []string
	for _, name := range found {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			links = append(links, path)
		}
	}
	return links
}
