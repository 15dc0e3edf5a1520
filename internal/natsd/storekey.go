package natsd

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-project/tocsin/internal/private"
)

// keyMark is a file in the server's folder that identifies the key of its streams and is
// absent if they have none.
const keyMark = "store-key.sha256"

// minStoreKey is the least length of a key: its mark must not help to guess it.
const minStoreKey = 32

// checkKey refuses a key other than the folder's. The engine would continue without the
// streams that it cannot read and create empty ones in their place.
func checkKey(dir, key string) error {
	mark := ""
	if key != "" {
		if len(key) < minStoreKey {
			return fmt.Errorf("nats server: the key of the streams has %d characters: at least %d are needed (openssl rand -base64 32 makes one)", len(key), minStoreKey)
		}
		sum := sha256.Sum256([]byte("tocsin store key\n" + key))
		mark = hex.EncodeToString(sum[:])
	}
	path := filepath.Join(dir, keyMark)
	kept, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("nats server: folder of JetStream: %w", err)
	case key == "":
		return fmt.Errorf("nats server: the streams in %s are encrypted: give their key", dir)
	case subtle.ConstantTimeCompare(kept, []byte(mark)) == 0:
		return fmt.Errorf("nats server: the streams in %s are encrypted with another key", dir)
	default:
		return nil
	}
	if key == "" {
		return nil
	}
	if plain, err := fs.Glob(os.DirFS(dir), "jetstream/*/streams/*"); err != nil || len(plain) > 0 {
		return fmt.Errorf("nats server: the streams in %s are not encrypted: a key is for a new folder", dir)
	}
	if err := private.MakeFolder(dir); err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	if err := private.Write(path, []byte(mark)); err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	return nil
}
