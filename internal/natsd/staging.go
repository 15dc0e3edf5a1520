package natsd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// Of every atomic batch the engine (nats-server 2.15) first writes each record into a
// folder that it makes for the batch, with files that it syncs, then stores the records
// from there, and removes the folder. In memory that costs a third of a millisecond,
// and two or three on disk.
//
// What it costs in return: a batch that was cut short the engine completes at its next
// start from that folder, which outlives a killed process in memory, too, and no loss
// of power. After that some records of a batch may stand and others not. None of them
// was acknowledged, and nothing here assumes more than that (see the package).
const (
	batchesFolder = "batches" // the engine's name for it, in a stream's folder
	stagingPrefix = "tocsin-batches-"
	stagingRoom   = 64 << 20 // bytes free, or it is not used
)

// Stage has the batches of a stream gathered in memory, and reports whether they are.
func (s *Server) Stage(stream string) bool {
	if s.staging == "" {
		return false
	}
	s.stagingMu.Lock()
	defer s.stagingMu.Unlock()
	for _, place := range stagingLinks(s.dir, stream) {
		if filepath.Dir(place) == s.staging {
			return true // for another bus
		}
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
		_ = os.Remove(target)
		s.log.Debug("batches are gathered on disk", zap.String("stream", stream), zap.Error(err))
		return false
	}
	return true
}

// Unstage has them gathered on disk again: the place in memory is gone, or full.
func (s *Server) Unstage(stream string) {
	s.stagingMu.Lock()
	defer s.stagingMu.Unlock()
	s.log.Warn("the engine has lost a batch: they are gathered on disk from here on", zap.String("stream", stream), zap.String("was", s.staging))
	for link, place := range stagingLinks(s.dir, stream) {
		_ = os.Remove(link) // the engine makes a folder where there is none
		_ = os.RemoveAll(place)
	}
}

// newStaging makes the place in memory for a server's folder, whose mark its name bears.
// Empty: there is none here.
func newStaging(dir string) string {
	for _, place := range memoryFolders() {
		if !hasMemory(place, stagingRoom) {
			continue
		}
		if made, err := os.MkdirTemp(place, stagingPrefix+folderMark(dir)+"-"); err == nil {
			return made
		}
	}
	return ""
}

// dropForeignLinks removes the links of a folder that was copied: they lead to where the
// server of the original gathers its batches, which is not ours to complete or to remove.
func dropForeignLinks(dir string) {
	ours := stagingPrefix + folderMark(dir) + "-"
	for link, place := range stagingLinks(dir, "*") {
		if !strings.HasPrefix(filepath.Base(filepath.Dir(place)), ours) {
			_ = os.Remove(link)
		}
	}
}

// dropStaging removes the places that a server left which was killed, once the engine
// has started, and has completed what it found there and removed its links.
func dropStaging(left map[string]string) {
	for link, place := range left {
		if now, err := os.Readlink(link); err == nil && now == place {
			continue
		}
		_ = os.RemoveAll(place)
		_ = os.Remove(filepath.Dir(place)) // where it was the last
	}
}

// endStaging removes the place and what leads there, unless a batch was cut short.
func (s *Server) endStaging() {
	for link, place := range stagingLinks(s.dir, "*") {
		if filepath.Dir(place) == s.staging && os.Remove(place) == nil {
			_ = os.Remove(link)
		}
	}
	if s.staging != "" {
		_ = os.Remove(s.staging)
	}
}

// stagingLinks are where batches of streams are gathered in memory, by the links that
// lead there.
func stagingLinks(dir, stream string) map[string]string {
	found, _ := fs.Glob(os.DirFS(dir), "jetstream/*/streams/"+stream+"/"+batchesFolder)
	links := map[string]string{}
	for _, name := range found {
		link := filepath.Join(dir, filepath.FromSlash(name))
		if place, err := os.Readlink(link); err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(place)), stagingPrefix) {
			links[link] = place
		}
	}
	return links
}
