package bus

import "github.com/tocsin-project/tocsin/internal/fault"

// Engine is what the bus needs of an embedded NATS server (package natsd) beside its
// connections.
type Engine interface {
	// RoomFor is nil, or a [fault.Full] where the disk has no room for so many bytes;
	// RoomForReports is that already where only what follows from reports has room.
	RoomFor(bytes int) error
	RoomForReports() error
	// TellSpace logs a disk that fills up.
	TellSpace()
	// Stage has the batches of a stream gathered in memory, and reports whether they
	// are; Unstage has them gathered on disk again.
	Stage(stream string) bool
	Unstage(stream string)
	// WatchAnswers counts answers that a service has not sent yet, by their bytes, with
	// what waits for it.
	WatchAnswers(bytes func() int) (forget func())
}

// RoomForReports is nil, or a [fault.Full] where reports are not taken because the disk
// has little room left.
func (b *Bus) RoomForReports() error {
	if err := b.engineHasRoom(); err != nil || b.cfg.Engine == nil {
		return err
	}
	return b.cfg.Engine.RoomForReports()
}

// roomFor is nil, or a [fault.Full] where the disk has no room for so many bytes.
func (b *Bus) roomFor(bytes int) error {
	if b.cfg.Engine == nil {
		return nil
	}
	return b.cfg.Engine.RoomFor(bytes)
}

// engineHasRoom is nil, or a [fault.Full] where the engine said that it may store no
// more. What it refused is tried again until it is stored.
func (b *Bus) engineHasRoom() error {
	for _, w := range b.writers {
		if w.full.Load() {
			return fault.Full("the NATS server may store no more: nothing is taken; use another channel, or try again once it has room")
		}
	}
	return nil
}
