package bus

import "github.com/tocsin-project/tocsin/internal/fault"

// Engine is the bus's view of an embedded NATS server (package natsd), besides its
// connections.
type Engine interface {
	// RoomFor returns nil, or a [fault.Full] if the disk has no room for so many bytes;
	// RoomForReports returns that earlier, when only records that follow from reports
	// have room.
	RoomFor(bytes int) error
	RoomForReports() error
	// LogSpace logs when the disk fills up.
	LogSpace()
	// Stage makes the engine stage the batches of a stream in memory, and reports whether
	// it does; Unstage returns to staging on disk.
	Stage(stream string) bool
	Unstage(stream string)
}

// RoomForReports returns nil, or a [fault.Full] if reports are refused because the disk
// has little room left.
func (b *Bus) RoomForReports() error {
	if err := b.engineHasRoom(); err != nil || b.cfg.Engine == nil {
		return err
	}
	return b.cfg.Engine.RoomForReports()
}

// roomFor returns nil, or a [fault.Full] if the disk has no room for so many bytes.
func (b *Bus) roomFor(bytes int) error {
	if b.cfg.Engine == nil {
		return nil
	}
	return b.cfg.Engine.RoomFor(bytes)
}

// engineHasRoom returns nil, or a [fault.Full] if the engine reported that it may store
// no more. The refused records are retried until they are stored.
func (b *Bus) engineHasRoom() error {
	for _, w := range b.writers {
		if w.full.Load() {
			return fault.Full("the NATS server may store no more: nothing is taken; use another channel, or try again once it has room")
		}
	}
	return nil
}
