package natsd

import (
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/fault"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// Room is the size of a disk and how much of it is free. Files is how many files can
// still be created; FilesKnown is false if the file system has no such limit.
type Room struct {
	Free, Total uint64
	Files       uint64
	FilesKnown  bool
}

func (r Room) hasFewerFiles(than uint64) bool { return r.FilesKnown && r.Files < than }

// remaining describes what remains of the scarce resource: bytes, or files (inodes).
func (r Room) remaining() string {
	if r.hasFewerFiles(floorFraction * minFiles) {
		return fmt.Sprintf("%d inodes are left, whatever bytes are free", r.Files)
	}
	return humanize.IBytes(r.Free) + " are free"
}

// The default reserve is a share of the disk, within bounds: enough for the
// acknowledgements, clocks and notices of some days, which need little compared with
// reports.
const (
	reserveShare  = 20 // the twentieth part
	minReserve    = 16 << 20
	maxReserve    = 1 << 30
	alarmMultiple = 4        // alarm below this multiple of the reserve
	floorFraction = 4        // nothing is stored below this fraction of the reserve
	maxFloor      = 32 << 20 // at most this much is kept free
	minFiles      = 64       // nothing is stored with fewer inodes
	maxRoomAge    = 20 * time.Millisecond
)

// space watches the disk of the streams. Below the reserve reports are refused, so that
// what follows from accepted reports has room. Below the floor everything is refused, so
// that the engine never meets a full disk: after that it would store nothing until a
// restart.
type space struct {
	dir     string
	reserve uint64                         // 0: the default share
	measure func(dir string) (Room, error) // returns an error if the room is unknown

	mu    sync.Mutex
	room  Room
	known bool
	at    time.Time
	level level
}

// level is how full a disk is.
type level int

const (
	levelOK level = iota
	levelLow
	levelReserve
	levelFull
)

func newSpace(dir string, reserve uint64, measure func(string) (Room, error)) *space {
	if measure == nil {
		measure = diskRoom
	}
	return &space{dir: dir, reserve: reserve, measure: measure}
}

// check returns what was free at most maxRoomAge ago, and the level once more bytes are
// stored. A disk that cannot be queried is roomy.
func (s *space) check(more uint64) (Room, level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := clock.Steady(); now.Sub(s.at) >= maxRoomAge || now.Before(s.at) {
		room, err := s.measure(s.dir)
		s.room, s.known, s.at = room, err == nil, now
	}
	if !s.known {
		return Room{}, levelOK
	}
	reserve, free := s.reserveOf(s.room), s.room.Free-min(s.room.Free, more)
	switch {
	case free < min(reserve/floorFraction, maxFloor), s.room.hasFewerFiles(minFiles):
		return s.room, levelFull
	case free < reserve, s.room.hasFewerFiles(floorFraction * minFiles):
		return s.room, levelReserve
	case free < alarmMultiple*reserve, s.room.hasFewerFiles(alarmMultiple * floorFraction * minFiles):
		return s.room, levelLow
	}
	return s.room, levelOK
}

func (s *space) reserveOf(r Room) uint64 {
	if s.reserve > 0 {
		return s.reserve
	}
	return min(max(r.Total/reserveShare, minReserve), maxReserve)
}

// Space is the free disk space of the embedded server, the reserve that reports leave
// free, and whether little more than that is left. It is unknown for an outside server.
type Space struct {
	Free, Reserve uint64
	Alarm         bool
}

// Space returns the state of the disk; false if it is unknown.
func (s *Server) Space() (Space, bool) {
	room, level := s.space.check(0)
	return Space{room.Free, s.space.reserveOf(room), level > levelOK}, room.Total > 0
}

// RoomForReports returns nil, or a [fault.Full] if the disk has reached its reserve.
func (s *Server) RoomForReports() error {
	if room, level := s.space.check(0); level == levelReserve {
		return fault.Full(fmt.Sprintf("the server's disk is nearly full (%s): no new report is taken, and acknowledgements and clocks go on; use another channel, or send the same report again once there is room", room.remaining()))
	}
	return s.RoomFor(0)
}

// RoomFor returns nil, or a [fault.Full] if the disk has no room for so many bytes.
func (s *Server) RoomFor(bytes int) error {
	if room, level := s.space.check(uint64(bytes)); level == levelFull {
		return fault.Full(fmt.Sprintf("the server's disk is full (%s): nothing can be stored; use another channel, or try again once there is room", room.remaining()))
	}
	return nil
}

// LogSpace logs when the disk's level has changed. One goroutine calls it.
func (s *Server) LogSpace() {
	room, now := s.space.check(0)
	if now == s.space.level {
		return
	}
	fields := []zap.Field{zap.String("folder", s.space.dir), zap.Uint64("free_bytes", room.Free), zap.Uint64("reserve_bytes", s.space.reserveOf(room))}
	if room.FilesKnown {
		fields = append(fields, zap.Uint64("free_inodes", room.Files))
	}
	switch {
	case now == levelFull:
		s.log.Error("the disk is full: nothing is stored until space is freed", fields...)
	case now == levelReserve:
		s.log.Error("the disk is nearly full: reports are refused until space is freed", fields...)
	case now == levelLow && s.space.level == levelOK:
		s.log.Warn("the disk fills up: free space before it reaches the reserve, where reports are refused", fields...)
	default:
		s.log.Info("the disk has room again", fields...)
	}
	s.space.level = now
}
