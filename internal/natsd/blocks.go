package natsd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/metrics"
	"runtime/pprof"
	"time"

	"go.uber.org/zap"
)

// The engine (nats-server 2.15) fills the hole before every record of a block, in
// memory, before it looks at the record's checksum: a bit flipped high in one sequence
// makes it fill holes until the machine has no memory left. It verifies checksums
// where it has no index of the stream's blocks.

// Layout of a block: of each record the header (length, sequence, time, length of the
// subject), subject, headers, data and checksum.
const (
	blockHeader   = 22
	blockChecksum = 8
	blockErased   = 1 << 63 // of a sequence
	blockTomb     = 1 << 62 // of a sequence
	lengthBits    = 1 << 31 // of a length: there are headers
	blockHole     = 1 << 24 // records: no block holds so many
	blockIndex    = "index.db"
)

// MendBlocks reads the blocks of an engine that does not run, or that hangs in one,
// and takes the index from every stream that has a block which would be read without
// end: the engine then reads the stream whole at its next start, and leaves out what is
// damaged, which the ledger names. It returns what was wrong, and where. What is
// encrypted cannot be read here, and needs not: the engine sees that it was altered.
func MendBlocks(dir string) (found []string, err error) {
	blocks, err := fs.Glob(os.DirFS(dir), "jetstream/*/streams/*/msgs/*.blk")
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		path := filepath.Join(dir, filepath.FromSlash(block))
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the engine has dropped it meanwhile
		}
		if err != nil {
			return found, err
		}
		at, sequence, endless := endlessBlock(raw)
		if !endless {
			continue
		}
		found = append(found, fmt.Sprintf("%s, byte %d: a record of sequence %d, which cannot be in this block", path, at, sequence))
		if err := os.Remove(filepath.Join(filepath.Dir(path), blockIndex)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return found, nil
}

// endlessBlock finds the first record whose sequence is too far from that of the first
// one.
func endlessBlock(raw []byte) (at int, sequence uint64, endless bool) {
	var first uint64
	for at < len(raw)-blockHeader {
		length := int(binary.LittleEndian.Uint32(raw[at:]) &^ lengthBits)
		sequence = binary.LittleEndian.Uint64(raw[at+4:])
		if length < blockHeader+blockChecksum || at+length > len(raw) {
			return 0, 0, false // the engine sees that itself
		}
		if sequence&blockTomb == 0 {
			sequence &^= blockErased
			if first == 0 {
				first = sequence
			}
			if sequence > first && sequence-first > blockHole {
				return at, sequence, true
			}
		}
		at += length
	}
	return 0, 0, false
}

// The guard looks when so many bytes are in use, and again whenever that has doubled.
const (
	guardEvery = time.Second
	guardBytes = 1 << 30
	// endlessCall is where the engine is while it reads a block, for milliseconds or
	// without end.
	endlessCall = "server.(*msgBlock).indexCacheBuf"
)

// guardBlocks ends the process where the engine reads a block without end, having seen
// to it that the next start does not: nothing can make it stop, and it would take the
// memory of the whole machine.
func guardBlocks(ctx context.Context, dir string, limit uint64, log *zap.Logger) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		used := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(used)
		if used[0].Value.Uint64() < limit {
			continue
		}
		limit *= 2
		if !isRunning(endlessCall) {
			continue // a large stream, or a busy process: its blocks would take minutes
		}
		switch found, err := MendBlocks(dir); {
		case len(found) > 0:
			log.Fatal("the engine reads a damaged block without end, and nothing can stop it: this process ends. At the next start the stream is read whole, and the log names what is lost", zap.Strings("damage", found))
		case err != nil:
			log.Error("the engine's blocks cannot be looked at", zap.Error(err))
		}
	}
}

// isRunning reports whether some goroutine is in a function. The profile stops the
// process for a moment only, whereas writing all stacks stops it until they are written.
func isRunning(call string) bool {
	var stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1) // a buffer takes everything
	return bytes.Contains(stacks.Bytes(), []byte(call+"+0x"))
}
