package natsd

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// upstreamChild is the folder that TestEngineReadsADamagedBlock opens in a child process.
const upstreamChild = "TOCSIN_TEST_DAMAGED_BLOCK"

// upstreamLimit is far more memory than a stream of a hundred small messages takes.
const upstreamLimit = 400 << 20

// exitEndless is the child's exit code when the engine fills its memory.
const exitEndless = 7

// TestEngineReadsADamagedBlock says when the guard (MendBlocks, guardBlocks) can go: it
// fails once the engine itself, without the guard, gets past a block in which a high bit
// of one sequence was flipped. Seen in nats-server 2.15. The engine runs in a child
// process that ends itself before the memory is full.
func TestEngineReadsADamagedBlock(t *testing.T) {
	if dir := os.Getenv(upstreamChild); dir != "" {
		readDamagedBlock(dir)
	}
	t.Parallel()
	dir := t.TempDir()
	s, nc := bareEngine(t, dir)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: 1, AllowDirect: true})
	require.NoError(t, err)
	for i := range 100 {
		_, err := js.Publish(t.Context(), fmt.Sprintf("s.%d", i), []byte("{}"))
		require.NoError(t, err)
	}
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "*.blk"))
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	raw, err := os.ReadFile(blocks[0])
	require.NoError(t, err)
	at := 0
	for range 40 {
		at += int(binary.LittleEndian.Uint32(raw[at:]) &^ (1 << 31))
	}
	raw[at+4+5] ^= 1 << 3 // bit 43 of the sequence's 64
	require.NoError(t, os.WriteFile(blocks[0], raw, 0o600))

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEngineReadsADamagedBlock$")
	child.Env = append(os.Environ(), upstreamChild+"="+dir)
	out, err := child.CombinedOutput()
	require.Error(t, err, "the engine reads the damaged block: blocks.go and this test can go\n%s", out)
	require.Equal(t, exitEndless, child.ProcessState.ExitCode(), "the child ended for another reason:\n%s", out)
}

// readDamagedBlock runs the engine on a folder, reads every message, and ends the process.
func readDamagedBlock(dir string) {
	go func() {
		var m runtime.MemStats
		for ; ; time.Sleep(10 * time.Millisecond) {
			if runtime.ReadMemStats(&m); m.HeapAlloc > upstreamLimit {
				os.Exit(exitEndless)
			}
		}
	}()
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err == nil {
		go s.Start()
		for !s.ReadyForConnections(time.Second) {
			time.Sleep(10 * time.Millisecond)
		}
		var nc *nats.Conn
		if nc, err = nats.Connect("", nats.InProcessServer(s)); err == nil {
			for seq := 1; seq <= 100; seq++ {
				_, _ = nc.Request("$JS.API.DIRECT.GET.S", fmt.Appendf(nil, `{"seq":%d}`, seq), 30*time.Second)
			}
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bareEngine runs the engine without the workarounds of this package.
func bareEngine(t *testing.T, dir string) (*server.Server, *nats.Conn) {
	t.Helper()
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true, SyncAlways: true})
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(s.Shutdown)
	require.Eventually(t, func() bool { return s.ReadyForConnections(time.Second) }, time.Minute, time.Millisecond)
	nc, err := nats.Connect("", nats.InProcessServer(s))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return s, nc
}
