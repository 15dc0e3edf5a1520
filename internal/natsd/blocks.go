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

// The engine (nats-server 2.15) fills the gap before every record of a block, in memory,
// before it checks the record's checksum: a flipped high bit in one sequence makes it
// fill gaps until the machine has no memory left. It verifies checksums only where it has
// no index of the stream's blocks. TestEngineReadsADamagedBlock fails once this file is no
// longer needed.

// Layout of a block: for each record the header (length, sequence, time, length of the
// subject), subject, headers, data and checksum.
const (
	blockHeader   = 22
	blockChecksum = 8
	blockErased   = 1 << 63 // of a sequence
	blockTomb     = 1 << 62 // of a sequence
	lengthBits    = 1 << 31 // in a length: the record has headers
	blockHole     = 1 << 24 // records: more than any block holds
	blockIndex    = "index.db"
)

// MendBlocks checks the blocks of an engine that is not running, or that hangs reading
// one. It removes the index of every stream with a block that the engine would read
// endlessly: at its next start the engine then reads the whole stream and leaves out
// damaged records, which the ledger reports. It returns what was wrong, and where.
// Encrypted blocks cannot be read here and need not be: the engine detects that they were
// altered.
func MendBlocks(dir string) (found []string, err error) {
	blocks, err := fs.Glob(os.DirFS(dir), "jetstream/*/streams/*/msgs/*.blk")
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		path := filepath.Join(dir, filepath.FromSlash(block))
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the engine has removed it
		}
		if err != nil {
			return found, err
		}
		at, sequence, endless := endlessBlock(raw)
		if !endless {
			continue
		}
		found = append(found, fmt.Sprintf("%s, byte %d: the sequence %d is too far from the first one of the block", path, at, sequence))
		if err := os.Remove(filepath.Join(filepath.Dir(path), blockIndex)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return found, nil
}

// endlessBlock finds the first record whose sequence is too far from the first record's.
func endlessBlock(raw []byte) (at int, sequence uint64, endless bool) {
	var first uint64
	for at < len(raw)-blockHeader {
		length := int(binary.LittleEndian.Uint32(raw[at:]) &^ lengthBits)
		sequence = binary.LittleEndian.Uint64(raw[at+4:])
		if length < blockHeader+blockChecksum || at+length > len(raw) {
			return 0, 0, false // the engine detects that itself
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

// The guard checks when so many bytes are in use, and again each time that has doubled.
const (
	guardInterval = time.Second
	guardMemory   = 1 << 30
	// endlessCall is the function in which the engine reads a block, for milliseconds or
	// endlessly.
	endlessCall = "server.(*msgBlock).indexCacheBuf"
)

// guardBlocks ends the process if the engine reads a block endlessly, after making sure
// that the next start does not: the engine cannot be interrupted, and it would use up the
// machine's memory.
func guardBlocks(ctx context.Context, dir string, limit uint64, log *zap.Logger) {
	tick := time.NewTicker(guardInterval)
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
			continue // a large stream or a busy process: checking its blocks would take minutes
		}
		switch found, err := MendBlocks(dir); {
		case len(found) > 0:
			log.Fatal("the engine is stuck reading a damaged block and cannot be interrupted: ending the process. The next start reads the whole stream and reports the lost records", zap.Strings("damage", found))
		case err != nil:
			log.Error("cannot check the engine's blocks", zap.Error(err))
		}
	}
}

// isRunning reports whether a goroutine is in a function. The profile stops the process
// only briefly; writing all stacks stops it until they are written.
func isRunning(call string) bool {
	var stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1) // writing to a buffer cannot fail
	return bytes.Contains(stacks.Bytes(), []byte(call+"+0x"))
}
